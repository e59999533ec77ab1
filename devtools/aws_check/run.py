"""Runs the steps and removes everything, on every way out."""

import contextlib
import functools
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from devtools.aws_check import prices
from devtools.aws_check.account import Account, CheckError
from devtools.aws_check.calls import read_calls, recorded
from devtools.aws_check.commands import Options, write_settings
from devtools.aws_check.removal import remove_all
from devtools.aws_check.steps import Step
from efsprov.core.errors import EfsprovError

Say = Callable[[str], None]


@dataclass
class Done:
    """What came of a step: "passed", "failed" or "not reached"; its figures and its requests."""

    name: str
    outcome: str = "not reached"
    seconds: float = 0.0
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Outcome:
    """All of a check. ``left`` names what could not be removed, in words."""

    steps: list[Done]
    left: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def passed(self) -> bool:
        """Whether every step did, and nothing is left."""
        return not self.left and all(step.outcome == "passed" for step in self.steps)


class StoppedError(BaseException):
    """A signal asks the check to stop; it is no Exception, so that no step takes it for a fault of its own."""


def run_check(check: Account, options: Options, steps: Sequence[Step], say: Say) -> Outcome:
    """Run the steps up to the first that fails, then remove everything; the last step is the removal."""
    outcome = Outcome([Done(step.name) for step in steps])
    removal = Done("remove everything")
    calls = check.folder / "calls.jsonl"
    write_settings(check, options)
    with recorded(calls), _signals(say) as signals:
        try:
            for step, done in zip(steps, outcome.steps, strict=True):
                say(step.name)
                _do(done, functools.partial(step.run, check, options), check)
                if done.outcome == "failed":
                    say(f"failed: {done.error}")
                    break
        except StoppedError as stop:
            outcome.stopped = str(stop)
            say(f"{stop}: stopping")
        finally:
            signals.hold()
            say("removing everything")
            outcome.steps.append(removal)

            def remove() -> dict[str, Any]:
                outcome.left = remove_all(check, say, patience=options.patience)
                if outcome.left:
                    raise CheckError(f"left: {'; '.join(outcome.left)}")
                return {}

            _do(removal, remove, check)
    return outcome


def _do(done: Done, work: Callable[[], Any], check: Account) -> None:
    calls = check.folder / "calls.jsonl"
    before, began = len(read_calls(calls)), time.monotonic()
    try:
        done.figures = dict(work())
        done.outcome = "passed"
    except Exception as error:  # noqa: BLE001 - whatever a step meets is its result, and what was made has to go
        done.outcome = "failed"
        known = isinstance(error, CheckError | EfsprovError)
        done.error = str(error) if known else "".join(traceback.format_exception_only(error)).strip()
    except StoppedError:
        done.outcome, done.error = "failed", "stopped"
        raise
    finally:
        done.seconds = round(time.monotonic() - began, 3)
        done.calls = read_calls(calls)[before:]


class _Signals:
    def __init__(self, say: Say) -> None:
        self._say, self._holding = say, False

    def hold(self) -> None:
        """From now on signals are answered by words alone: the removal goes on."""
        self._holding = True

    def __call__(self, number: int, frame: object) -> None:
        if not self._holding:
            self._holding = True
            raise StoppedError(signal.Signals(number).name)
        self._say("still removing what was made; kill -9 leaves it to --remove")


@contextlib.contextmanager
def _signals(say: Say) -> Iterator[_Signals]:
    handler = _Signals(say)
    if threading.current_thread() is not threading.main_thread():
        yield handler
        return
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.signal(number, handler) for number in caught}
    signal.alarm(prices.HOURS * 3600)  # what costs by the hour does not stay longer than was said
    try:
        yield handler
    finally:
        signal.alarm(0)
        for number, old in before.items():
            signal.signal(number, old)
