"""Undoes what a run has made, in reverse, whatever happens on the way, and says what is left."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from efsprov.core.errors import EfsprovError

_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True)
class Leftover:
    """Something that could not be removed: what it is, why, and the command that removes it."""

    what: str
    why: str
    command: str

    def __str__(self) -> str:
        return f"{self.what} is left ({self.why}). Remove it with: {self.command}"


@dataclass
class CleanUp:
    """Clean-ups, run in reverse order by ``close``. One that fails, or is interrupted, does not keep the others from running."""

    _stack: ExitStack = field(default_factory=ExitStack)
    _left: list[Leftover] = field(default_factory=list)

    def push(self, remove: Callable[[], None], *, what: Callable[[], str], command: Callable[[], str]) -> None:
        """Have ``remove`` called at the end; ``what`` and ``command`` name, then, what it could not remove."""

        def undo() -> None:
            try:
                remove()
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told below; the others must still run
                why = error.message if isinstance(error, EfsprovError) else str(error) or _INTERRUPTED
                self._left.append(Leftover(what(), why, command()))

        self._stack.callback(undo)

    def close(self) -> tuple[Leftover, ...]:
        """Run the clean-ups and return what is left; a second call returns the same."""
        self._stack.close()
        return tuple(self._left)
