"""One execution environment: the function's process from its cold start over many events to its end.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html says what happens when: the init phase with its
own limit, its second try within the first invocation, the freeze between events, the reset after a time-out or a crash
that leaves ``/tmp`` as it is.
"""

import contextlib
import json
import os
import signal
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from devtools.lambda_sandbox.function import MIB, Function, merge_layers
from devtools.lambda_sandbox.runtime_api import (
    Event,
    Exited,
    Failure,
    Happening,
    Next,
    Response,
    RuntimeApi,
    error_body,
)
from devtools.lambda_sandbox.sandbox import Sandbox

SIGNALS: dict[int, str] = {  # named as Lambda's own process, written in Go, names them
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGTERM: "terminated",
}


@dataclass(frozen=True)
class FunctionError:
    """An error as Lambda reports it."""

    type: str
    message: str
    stack_trace: tuple[str, ...] = ()


@dataclass(frozen=True)
class Invocation:
    """What came of one event.

    ``body`` is the answer's JSON (of the error, if there is one), ``logs`` everything that was logged since the event
    before it, with Lambda's START, END and REPORT lines. ``duration`` and ``init_duration`` are seconds, the latter None
    unless this event met a cold start; ``peak_memory`` is in bytes.
    """

    request_id: str
    body: bytes
    failed: bool
    logs: str
    duration: float
    init_duration: float | None
    peak_memory: int

    @property
    def payload(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def error(self) -> FunctionError | None:
        """None if the handler returned."""
        if not self.failed:
            return None
        error = self.payload
        return FunctionError(error["errorType"], error["errorMessage"], tuple(error.get("stackTrace", ())))


class LambdaEnvironment:
    """An execution environment of ``function``; handles one event at a time, so concurrency takes several of them.

    The function is initialised by ``init`` or by the first event. Raises SandboxUnavailableError.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.log_stream = f"[$LATEST]{uuid.uuid4().hex}"
        self._busy = threading.Lock()
        self._api: RuntimeApi | None = None
        self._next: Next | None = None
        self._initialised = False
        self._frozen = False
        with contextlib.ExitStack() as undo:
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="environment-")))
            (scratch / "opt").mkdir()
            merge_layers(function.layers, scratch / "opt")
            for target in map(PurePosixPath, function.mounts):
                if target.is_relative_to("/opt"):  # read-only later, so the mount point is made now
                    (scratch / target.relative_to("/")).mkdir(parents=True, exist_ok=True)
            self._log = undo.enter_context((scratch / "log").open("a+b", buffering=0))
            self._sandbox = Sandbox(function.entries(scratch / "opt"), logs=self._log.fileno(), on_exit=self._exited)
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the environment, whatever runs in it; ``invoke`` in another thread then raises BrokenPipeError."""
        self._sandbox.close()
        self._exited(-signal.SIGKILL)
        with self._busy:
            if self._api:
                self._api.close()
            self._undo.close()

    def kill(self) -> None:
        """SIGKILL to the function's processes at this moment, from another thread than the one that invokes."""
        self._sandbox.kill()
        self._exited(-signal.SIGKILL)

    def init(self) -> float:
        """The init phase, as provisioned concurrency would have it; returns its duration in seconds.

        A failure shows in the first invocation, which tries again.
        """
        self._initialised = True
        began = time.monotonic()
        if self._start(began + self.function.init_timeout) is not None:
            self._reset()
        self._pause()
        return time.monotonic() - began

    def invoke(
        self,
        event: Any = None,
        *,
        body: bytes | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        client_context: str | None = None,
    ) -> Invocation:
        """Let the function handle ``event`` (JSON data; or ``body``, its encoding), within ``timeout`` seconds.

        ``client_context`` is JSON text. Raises RuntimeError if the environment handles another event.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("an execution environment handles one event at a time")
        try:
            request_id = request_id or str(uuid.uuid4())
            body = json.dumps(event).encode() if body is None else body
            return self._invoke(request_id, body, timeout or self.function.timeout, client_context)
        finally:
            self._busy.release()

    def _invoke(self, request_id: str, body: bytes, timeout: float, client_context: str | None) -> Invocation:
        logged = self._log.seek(0, os.SEEK_END) if self._initialised else 0
        init_duration = None if self._initialised else self.init()
        self._log.write(f"START RequestId: {request_id} Version: $LATEST\n".encode())
        began = time.monotonic()
        deadline = began + timeout
        outcome = None if self._resume() else self._start(deadline)
        if outcome is None:
            left = deadline - time.monotonic()
            event = Event(request_id, body, time.time() + left, self.function.arn, trace_id(), client_context)
            outcome = self._handle(event, deadline)
        duration = time.monotonic() - began
        peak = self._sandbox.peak_memory()
        self._settle(outcome, deadline)
        answer, status = conclude(outcome, request_id, timeout)
        self._report(request_id, status, duration, init_duration, peak)
        return Invocation(
            request_id=request_id,
            body=answer.body,
            failed=isinstance(answer, Failure),
            logs=self._read_log(logged),
            duration=duration,
            init_duration=init_duration,
            peak_memory=peak,
        )

    def _start(self, deadline: float) -> Happening | None:
        """Start the runtime; None once it waits for an event, else what came instead."""
        self._api = RuntimeApi()
        self._sandbox.start(
            [self.function.runtime.command, "-m", "awslambdaric", self.function.handler],
            environ=self.function.environ(self._api.address, self.log_stream),
            directory="/var/task",
            limits=self.function.limits(),
        )
        happened = self._api.next_happening(deadline)
        if isinstance(happened, Next):
            self._next = happened
            return None
        return happened

    def _handle(self, event: Event, deadline: float) -> Happening:
        assert self._api
        assert self._next
        self._next.answer.put(event)
        self._next = None
        return self._api.next_happening(deadline)

    def _settle(self, outcome: Happening, deadline: float) -> None:
        """Wait until the runtime asks for the next event, and freeze it; or reset what will not ask."""
        assert self._api
        happened = self._api.next_happening(deadline) if isinstance(outcome, Response | Failure) else None
        if isinstance(happened, Next):
            self._next = happened
            self._pause()
        else:
            self._reset()

    def _reset(self) -> None:
        self._sandbox.kill()
        self._next = None
        if self._api:
            self._api.close()
            self._api = None

    def _pause(self) -> None:
        if self.function.freeze and self._next:
            self._sandbox.freeze()
            self._frozen = True

    def _resume(self) -> bool:
        """Wake the runtime, if there is one."""
        if self._frozen:
            self._sandbox.thaw()
            self._frozen = False
        return self._next is not None

    def _exited(self, code: int) -> None:
        if self._api:
            self._api.happenings.put(Exited(code))

    def _report(self, request_id: str, status: str, duration: float, init: float | None, peak: int) -> None:
        fields = [
            f"Duration: {duration * 1000:.2f} ms",
            f"Billed Duration: {-int(-duration * 1000 // 1)} ms",
            f"Memory Size: {self.function.memory_mb} MB",
            f"Max Memory Used: {peak // MIB} MB",
        ]
        if init is not None:
            fields.append(f"Init Duration: {init * 1000:.2f} ms")
        if status:
            fields.append(status)
        lines = [f"END RequestId: {request_id}", "\t".join([f"REPORT RequestId: {request_id}", *fields])]
        self._log.write("".join(line + "\n" for line in lines).encode())

    def _read_log(self, since: int) -> str:
        return os.pread(self._log.fileno(), self._log.seek(0, os.SEEK_END) - since, since).decode(errors="replace")


def conclude(outcome: Happening, request_id: str, timeout: float) -> tuple[Response | Failure, str]:
    """The answer to the caller and the REPORT line's status, in Lambda's words where the function has said nothing."""
    if isinstance(outcome, Response | Failure):
        return outcome, ""
    if isinstance(outcome, Exited):
        error_type, why = "Runtime.ExitError", f"Runtime exited {exit_reason(outcome.code)}"
        status = f"Status: error\tError Type: {error_type}"
    else:
        error_type, why = "Sandbox.Timedout", f"Task timed out after {timeout:.2f} seconds"
        status = "Status: timeout"
    return Failure(error_body(error_type, f"RequestId: {request_id} Error: {why}")), status


def exit_reason(code: int) -> str:
    """How Lambda ends its sentence "Runtime exited"."""
    if code == 0:
        return "without providing a reason"
    if code > 0:
        return f"with error: exit status {code}"
    return f"with error: signal: {SIGNALS.get(-code) or signal.strsignal(-code) or -code}"


def trace_id() -> str:
    """An X-Ray trace header of a trace that is not sampled."""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
