"""File operations that fail, lie or kill at a chosen call."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from efsprov.store.fs.fileops import FileOps

Kind = Literal["kill-before", "kill-after", "error", "errors-from-then-on", "lost-reply"]
CALLS = tuple(name for name in vars(FileOps) if not name.startswith("_"))
NAME_CALLS = frozenset({"mkdir", "link", "symlink", "rename", "unlink", "rmdir"})
"""Calls whose effect can be looked up afterwards, by name."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at call number ``at``, counted from 1: ``errno`` is what is reported."""

    kind: Kind
    at: int
    errno: int = 0


class FaultyOps(FileOps):
    """Counts the mutating calls and makes one of them go wrong. Nothing is synchronised: no power fails here."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.calls: list[str] = []
        self._fault = fault
        self._counting = threading.Lock()

    def around(self, name: str, do: Callable[[], Any]) -> Any:
        with self._counting:
            self.calls.append(name)
            number = len(self.calls)
        fault = self._fault
        if fault is None or number < fault.at or (number > fault.at and fault.kind != "errors-from-then-on"):
            return do()
        if fault.kind == "kill-before":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind in {"kill-after", "lost-reply"} or name == "close":  # close(2) frees the descriptor in any case
            result = do()
            if fault.kind == "kill-after":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "open":
                os.close(result)
        raise OSError(fault.errno, os.strerror(fault.errno))


def _counted(name: str) -> Callable[..., Any]:
    original = getattr(FileOps, name)

    def call(self: FaultyOps, *args: Any, **kwargs: Any) -> Any:
        if name in {"fsync", "syncfs"}:
            return self.around(name, lambda: None)
        return self.around(name, lambda: original(self, *args, **kwargs))

    return call


for _name in CALLS:
    setattr(FaultyOps, _name, _counted(_name))


class AtTheDurablePoint(FaultyOps):
    """Lets something happen when all of a release is written and has no name yet."""

    def meanwhile(self) -> None:
        raise NotImplementedError

    def syncfs(self, fd: int) -> None:
        settled = "syncfs" in self.calls  # before anything is written it is called for what others wrote
        super().syncfs(fd)
        if settled:
            self.meanwhile()
