"""Times the steps of a run and tells about them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from efsprov.core.events import Emit, Event, Step


class ProgressReporter:
    """The steps of one run: each is announced, timed, and reported when it is done.

    ``seconds`` holds what each step took, in the order in which they were done.
    """

    def __init__(self, emit: Emit) -> None:
        self.seconds: dict[str, float] = {}
        self._emit = emit

    @contextmanager
    def step(self, name: Step, message: str = "") -> Iterator["StepReport"]:
        """Announce a step and, when the block ends well, tell how long it took and what it did."""
        began = time.monotonic()
        self._emit(Event(step=name, state="started", message=message))
        report = StepReport(name, self._emit)
        yield report
        took = time.monotonic() - began
        self.seconds[name] = round(took, 3)
        self._emit(Event(step=name, state="finished", message=report.outcome, seconds=took))

    def note(self, step: Step, message: str) -> None:
        """Tell something that the user should know."""
        self._emit(Event(step=step, state="note", message=message))

    def warn(self, step: Step, message: str) -> None:
        """Tell something that the user should look at."""
        self._emit(Event(step=step, state="warning", message=message))


class StepReport:
    """What a running step says of itself. ``outcome`` is shown when it is done."""

    def __init__(self, step: Step, emit: Emit) -> None:
        self.outcome = ""
        self._step = step
        self._emit = emit

    def bytes(
        self,
        done: int,
        total: int,
        message: str = "",
        *,
        rate: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Report progress in bytes; ``rate`` in bytes a second and ``seconds_left`` where ``done`` does not tell them."""
        self._emit(
            Event(
                step=self._step,
                state="progress",
                done=done,
                total=total,
                unit="bytes",
                message=message,
                rate=rate,
                seconds_left=seconds_left,
            )
        )

    def files(self, done: int, total: int, message: str = "") -> None:
        """Report progress in files."""
        self._emit(Event(step=self._step, state="progress", done=done, total=total, unit="files", message=message))
