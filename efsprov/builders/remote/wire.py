"""The lines that a running build writes: events with numbers, and as the last one its result or its error."""

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from efsprov.core.build import BuildResult
from efsprov.core.errors import BuilderError, EfsprovError
from efsprov.core.events import Event

Kind = Literal["event", "result", "error", "beat"]
MAX_LINE: Final = 1 << 20
"""Bytes of one line at most: a longer one is not a line of ours."""
_MAX_TEXT: Final = 8000
"""Characters of a message, so that a build that talks without end fills no memory and no disk."""


@dataclass(frozen=True)
class Line:
    """One line. ``number`` counts the lines of a run from 1; a beat carries the number of the line before it."""

    number: int
    kind: Kind
    body: Mapping[str, Any]

    @property
    def last(self) -> bool:
        """Whether nothing comes after it."""
        return self.kind in {"result", "error"}

    def dump(self) -> bytes:
        """Write the line, with its newline."""
        return json.dumps({"number": self.number, self.kind: self.body}).encode() + b"\n"


def parse(text: bytes) -> Line:
    """Read a line; raises ``BuilderError`` when it is none, showing how it begins."""
    try:
        result = json.loads(text)
        number = result.pop("number")
        ((kind, body),) = result.items()
        if type(number) is int and kind in {"event", "result", "error", "beat"} and isinstance(body, dict):
            return Line(number, kind, body)
    except (ValueError, AttributeError, KeyError, TypeError):
        pass
    raise BuilderError(
        f"The builder said something that is not a line of a build: {text[:80]!r}.",
        hint="A shell's start-up file on the host may print something: it must stay silent when no terminal is there.",
    )


def event_body(event: Event) -> dict[str, Any]:
    """Return an event as a line's body, its message cut to a bounded length."""
    return event.model_copy(update={"message": cut(event.message)}).model_dump(exclude_defaults=True)


def error_body(error: EfsprovError) -> dict[str, Any]:
    """Return a failure as a line's body."""
    return {"code": error.code, "message": cut(error.message), "hint": cut(error.hint)}


def bug_body(error: Exception) -> dict[str, Any]:
    """Return what is not a failure of efsprov's as a line's body, and write its traceback to stderr for the log there."""
    trace = "".join(traceback.format_exception(error))
    sys.stderr.write(trace)
    bug = BuilderError(
        f"The build failed with {type(error).__name__}: {error}\n{trace}",
        hint="This is a bug of efsprov; the root keeps its last whole release.",
    )
    return error_body(bug)


def read_event(line: Line) -> Event:
    """Return the event of a line; raises ``BuilderError`` when it holds none."""
    return Event.model_validate(line.body)


def read_result(line: Line) -> BuildResult:
    """Return the result in a run's last line, or raise the error in it: of the class to which its code belongs.

    A class that has its base's code is for those that catch it there; here it is its base.
    """
    if line.kind == "result":
        return BuildResult.model_validate(line.body)
    kinds = {kind.code: kind for kind in _error_classes(EfsprovError) if "code" in vars(kind)}
    kind = kinds.get(line.body.get("code", ""), BuilderError)
    raise kind(str(line.body.get("message", "")), hint=str(line.body.get("hint", "")))


def cut(text: str) -> str:
    """Shorten a text to what a line may hold, in its middle: its end says most."""
    if len(text) <= _MAX_TEXT:
        return text
    head = _MAX_TEXT // 4
    return f"{text[:head]}\n[... {len(text) - _MAX_TEXT} characters left out ...]\n{text[len(text) - 3 * head :]}"


def _error_classes(kind: type[EfsprovError]) -> list[type[EfsprovError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _error_classes(child))]
