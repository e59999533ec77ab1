"""The Lambda builder: the pipeline runs in a function that has the file system mounted.

One invocation builds, for at most 15 minutes; what it could not finish the next goes on with. Meanwhile short
invocations of the same function read what it has written on the root: that is how progress gets here, and how a run is
found again after this process was restarted.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from typing import Any, Final

from efsprov.aws.functions import FunctionConfig, get_function
from efsprov.aws.session import Aws
from efsprov.builders.on_lambda.calls import Outcome, call, call_build
from efsprov.builders.remote import wire
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import AwsError, BuilderError, GateError
from efsprov.core.events import Emit, Event

Sleep = Callable[[float], None]
_POLL_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 5.0
_CANCEL_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Timeouts:
    """When to give a run up: after so many invocations in a row that brought the copy no further, deaths, refusals."""

    fruitless: int = 3
    deaths: int = 30
    refusals: int = 60


@dataclass(frozen=True)
class LambdaBuilder:
    """Builds in the function ``function``."""

    aws: Aws
    function: str
    timeouts: Timeouts = Timeouts()
    sleep: Sleep = field(default=time.sleep, repr=False)

    def run(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """Build what is asked for; see ``Builder.run``. A function that does not fit is refused before it is called."""
        found = get_function(self.aws, self.function)
        refuse_unfit(found, request)
        emit(Event(step="launch", state="started", message=f"function {found.name}, run {request.run}"))
        return self._follow(request.run, request.root, emit, request=request.model_dump(mode="json"))

    def reattach(self, run: str, root: str, emit: Emit) -> BuildResult:
        """Go on with a run that was started before, whoever started it, to its end; return or raise how it ended."""
        return self._follow(run, root, emit)

    def _follow(self, run: str, root: str, emit: Emit, **requested: Any) -> BuildResult:
        following = _Following(self, run, root, emit, requested)
        try:
            return following.until_ended()
        except KeyboardInterrupt:
            done = following.cancel()
            if done is None:
                raise
            return done


def refuse_unfit(function: FunctionConfig, request: BuildRequest) -> None:
    """Raise ``GateError`` when a function cannot build for the target, ``BuilderError`` when it has not the root."""
    own = f"{function.runtime}-{function.arch}"
    if own != request.target:
        python, _, arch = request.target.partition("-")
        raise GateError(
            f"The builder function {function.name} is {own}, the release is for {request.target}: "
            "it could not be proven to import there.",
            hint=f"`efsprov builder deploy --function NAME --runtime {python} --arch {arch}` makes one that fits.",
        )
    if not any(request.root == m.path or request.root.startswith(f"{m.path}/") for m in function.mounted):
        where = ", ".join(m.path for m in function.mounted) or "nothing"
        raise BuilderError(
            f"The root {request.root} is not on the file system of function {function.name}: it has {where} mounted.",
            hint="--root is the path in the builder function.",
        )


class _Following:
    """One run, watched from here to its end."""

    def __init__(self, builder: LambdaBuilder, run: str, root: str, emit: Emit, requested: dict[str, Any]) -> None:
        self._builder, self._emit, self._requested = builder, emit, requested
        self._where: dict[str, Any] = {"run": run, "root": root}
        self._after = 0
        self._copied = self._best = 0
        self._last: wire.Line | None = None
        self._fruitless = self._deaths = self._refusals = 0

    def until_ended(self) -> BuildResult:
        """Invoke until the run has ended; raises the error that it ended with, or ``BuilderError`` when it cannot."""
        while True:
            outcome = self._invoke()
            self._take(outcome)
            if self._last is None and outcome.kind != "not run":
                self._catch_up(outcome)
            if self._last is not None:
                return wire.read_result(self._last)
            self._judge(outcome)

    def cancel(self) -> BuildResult | None:
        """Stop the run, and wait until it has stopped for as long as that takes in good order.

        Returns the result of a run that was done before it could be stopped: the user must not hear that nothing changed.
        """
        give_up = time.monotonic() + _CANCEL_SECONDS
        outcome = self._call("cancel")
        while outcome.answer.get("status") == "running" and time.monotonic() < give_up:
            self._builder.sleep(1)
            outcome = self._call("follow")
        last = self._last or next((line for line in _lines(outcome) if line.last), None)
        if last is None or last.kind != "result":
            return None
        self._tell("The run was done before it could be stopped.")
        return wire.read_result(last)

    def _invoke(self) -> Outcome:
        """Have the function build, in one request, and show what it tells until that is answered.

        The answer may never come: a NAT gateway forgets a connection that is silent for 350 s
        (https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html), and botocore sends no keep-alive
        within that time. So the run's own end, which the other requests tell, is enough.
        """
        builder = self._builder
        pending: Future[Outcome] = Future()

        def answer() -> None:
            try:
                where = {**self._where, **self._requested}
                pending.set_result(call_build(builder.aws, builder.function, **where, after=self._after))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                pending.set_exception(error)

        threading.Thread(target=answer, name="invoke", daemon=True).start()
        try:
            while True:
                try:
                    return pending.result(timeout=_POLL_SECONDS)
                except NotYet:
                    if self._last is not None:
                        return Outcome("unknown", {}, "its answer did not come, although the run has ended")
                    with contextlib.suppress(AwsError):  # no progress to show; the build is not the worse for it
                        self._take(self._call("follow"))
        except KeyboardInterrupt:
            self.cancel()
            raise

    def _catch_up(self, outcome: Outcome) -> None:
        """Wait while another environment is at work on this run: one that was lost sight of, or a second delivery's."""
        if outcome.answer.get("status") in {"continue", "busy"}:
            return  # all that there is to tell came with the answer
        lost = outcome.kind == "unknown" or outcome.answer.get("status") == "elsewhere"
        while self._last is None:
            seen = self._call("follow")
            self._take(seen)
            if seen.kind == "not run":
                self._refuse_or_wait(seen.why)
            elif not lost or seen.answer.get("status") != "running":
                return
            else:
                self._builder.sleep(_POLL_SECONDS)

    def _judge(self, outcome: Outcome) -> None:
        """Decide whether to invoke again after an invocation that did not end the run; raises ``BuilderError``."""
        if outcome.kind == "not run":
            self._refuse_or_wait(outcome.why)
            return
        if outcome.kind == "memory":
            raise BuilderError(
                f"The builder function ran out of memory: {outcome.why}.",
                hint="Give it more, up to 10,240 MB: `efsprov builder deploy --memory`; or use --builder ec2.",
            )
        status = outcome.answer.get("status", "")
        if status == "busy":
            self._tell("Another publisher is at work in the channel: waiting until it is done.")
            self._refuse_or_wait("another publisher holds the channel")
            return
        further = self._copied > self._best
        self._best = max(self._best, self._copied)
        if outcome.kind in {"died", "unknown"}:
            self._deaths = 0 if further else self._deaths + 1
            self._tell(f"The function ended before its time ({outcome.why}): going on.")
        else:
            self._fruitless = 0 if further else self._fruitless + 1
            self._tell("The function's time is up: going on in the next invocation.")
        if self._fruitless >= self._builder.timeouts.fruitless or self._deaths >= self._builder.timeouts.deaths:
            raise BuilderError(
                f"The build comes no further in function {self._builder.function}: {self._fruitless + self._deaths} "
                f"invocations in a row ended before anything more was copied. The last one: {outcome.why or status}.",
                hint="A build must be downloaded, installed and tested within one invocation: --builder ec2 has no such "
                "limit. What is staged is kept.",
            )

    def _refuse_or_wait(self, why: str) -> None:
        self._refusals += 1
        if self._refusals > self._builder.timeouts.refusals:
            raise BuilderError(f"The builder function does not run: {why}.", hint="Try again later.")
        self._builder.sleep(_PAUSE_SECONDS)

    def _call(self, do: str) -> Outcome:
        return call(self._builder.aws, self._builder.function, do, **self._where, after=self._after)

    def _take(self, outcome: Outcome) -> None:
        for line in _lines(outcome):
            if line.number <= self._after:
                continue
            self._after = line.number
            if line.last:
                self._last = line
            elif line.kind == "event":
                event = wire.read_event(line)
                if event.step == "copy":
                    self._copied = max(self._copied, event.done)
                self._emit(event)

    def _tell(self, message: str) -> None:
        self._emit(Event(step="launch", state="note", message=message))


def _lines(outcome: Outcome) -> list[wire.Line]:
    return [wire.parse(json.dumps(response).encode()) for response in outcome.answer.get("lines", [])]
