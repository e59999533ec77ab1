"""What a running pipeline tells: one event a line of JSON when it runs elsewhere, a progress display when here."""

from collections.abc import Callable
from typing import Final, Literal

from efsprov.core.frozen import Frozen

Step = Literal[
    "resolve",
    "gate",
    "launch",
    "fetch",
    "collect",
    "stage",
    "check",
    "compile",
    "smoke",
    "convert",
    "measure",
    "index",
    "hash",
    "push",
    "copy",
    "publish",
    "activate",
]


class Event(Frozen):
    """One report of one step.

    ``state``: a step starts, goes on (``done`` of ``total``), ends (``seconds`` it took), or has something to say
    (note, warning). ``done`` and ``total`` count ``unit``; ``total`` 0 means that it is not known. ``rate`` (``unit`` a
    second) and ``seconds_left`` are told by a step whose ``done`` grows by more than its work: by what is linked.
    """

    step: Step
    state: Literal["started", "progress", "finished", "note", "warning"]
    message: str = ""
    done: int = 0
    total: int = 0
    unit: Literal["bytes", "files"] = "bytes"
    seconds: float = 0.0
    rate: float | None = None
    seconds_left: float | None = None


Emit = Callable[[Event], None]
SILENT: Final[Emit] = lambda event: None  # noqa: E731, ARG005


class Suspended(Exception):  # noqa: N818 - no failure: the run is to be gone on with
    """Raised out of ``Emit`` to stop a run that another one goes on with: what it has staged stays as it is."""
