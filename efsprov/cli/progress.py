"""Shows the events of a running pipeline: bars on a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from efsprov.cli.console import duration, err, size
from efsprov.core.events import Emit, Event, Step
from efsprov.core.masking import mask
from efsprov.core.wording import printable

_LABELS: dict[Step, str] = {
    "resolve": "Resolving",
    "gate": "Checking the wheels",
    "launch": "Launching the builder",
    "fetch": "Downloading",
    "collect": "Collecting the files",
    "stage": "Installing",
    "check": "Checking the files",
    "compile": "Compiling",
    "smoke": "Smoke test",
    "convert": "Converting",
    "measure": "Measuring",
    "index": "Indexing",
    "hash": "Hashing",
    "push": "Pushing",
    "copy": "Copying to the root",
    "publish": "Publishing",
    "activate": "Activating",
}
_PLAIN_INTERVAL = 5.0  # seconds between two lines about one step in a log file


@contextmanager
def shown_progress() -> Iterator[Emit]:
    """Yield what takes the events of a run and shows them on stderr."""
    if not err.is_terminal:
        yield _masked(_Lines())
        return
    columns = (
        _Mark(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<21}"),
        BarColumn(bar_width=24),
    )
    with Progress(*columns, TextColumn("{task.fields[figures]}"), console=err) as progress:
        bars = _Bars(progress)
        try:
            yield _masked(bars)
        except BaseException:
            bars.fail()
            raise


def _masked(emit: Emit) -> Emit:
    """Give ``emit`` the events with the credentials in their texts hidden, whoever wrote them."""
    return lambda event: emit(event.model_copy(update={"message": printable(mask(event.message))}))


class _Mark(SpinnerColumn):
    """A spinner, a tick when the step is done, a cross where it was left."""

    def render(self, task: Task) -> RenderableType:
        return Text("✗", "red") if task.fields["failed"] else super().render(task)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[Step, TaskID] = {}
        self._rates: dict[Step, _Rate] = {}
        self._open: set[TaskID] = set()

    def __call__(self, event: Event) -> None:
        if event.state in {"note", "warning"}:
            self._progress.console.print(_remark(event))
            return
        if event.step not in self._tasks:
            self._tasks[event.step] = self._progress.add_task(_LABELS[event.step], total=None, figures="", failed=False)
        task, rate = self._tasks[event.step], self._rates.setdefault(event.step, _Rate())
        if event.state == "finished":
            self._open.discard(task)
            self._progress.update(task, total=1, completed=1, figures=_finished(event))
        else:
            self._open.add(task)
            figures = rate.figures(event) if event.state == "progress" else event.message
            self._progress.update(task, total=event.total or None, completed=event.done, figures=escape(figures))

    def fail(self) -> None:
        """Mark the steps that are not finished."""
        for task in self._open:
            self._progress.update(task, total=1, failed=True)  # where the total is unknown the bar would go on


class _Lines:
    def __init__(self) -> None:
        self._rates: dict[Step, _Rate] = {}
        self._reported: dict[Step, float] = {}

    def __call__(self, event: Event) -> None:
        label = _LABELS[event.step]
        if event.state in {"note", "warning"}:
            err.print(_remark(event))
        elif event.state == "finished":
            err.print(f"{label}: {_finished(event)}")
        elif event.state == "progress":
            rate, now = self._rates.setdefault(event.step, _Rate()), time.monotonic()
            figures = rate.figures(event)
            if figures == event.message or now - self._reported.setdefault(event.step, now) >= _PLAIN_INTERVAL:
                self._reported[event.step] = now
                err.print(f"{label}: {escape(figures)}")
        elif event.message:
            err.print(f"{label}: {escape(event.message)}")


class _Rate:
    """Amount done and rate of one step, since its first event."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def figures(self, event: Event) -> str:
        return figures_of(event, elapsed=max(time.monotonic() - self._began, 1e-3))


def figures_of(event: Event, *, elapsed: float) -> str:
    """Say how far a step is, ``elapsed`` seconds after its first event."""
    if event.message and not event.done and not event.total:
        return event.message  # a stage of a step that counts nothing
    if event.unit == "bytes":
        done = f"{size(event.done)} of {size(event.total)}" if event.total else size(event.done)
        text = f"{done}, {size(event.done / elapsed if event.rate is None else event.rate)}/s"
    else:
        text = f"{event.done} of {event.total} files" if event.total else f"{event.done} files"
    left = event.seconds_left
    if left is None and event.rate is None and event.done and event.total > event.done:
        left = elapsed * (event.total - event.done) / event.done
    if left:
        text += f", {duration(left)} left"
    return f"{text}, {event.message}" if event.message else text


def _finished(event: Event) -> str:
    took = duration(event.seconds)
    return f"{escape(event.message)}, {took}" if event.message else took


def _remark(event: Event) -> str:
    color = "yellow" if event.state == "warning" else "cyan"
    return f"[{color}]{event.state}:[/] {escape(event.message)}"
