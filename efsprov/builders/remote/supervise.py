"""The process that watches over a build: numbers its lines, bounds what is kept, and says how it ended if it cannot."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, BinaryIO, Final

from efsprov.builders.remote import wire
from efsprov.builders.remote.runs import RunFolder
from efsprov.core.errors import BuilderError, CancelledError

_PROGRESS_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 20.0
_MAX_LOG: Final = 32 << 20
_TAIL_BYTES: Final = 32 << 10
_CANCELLED: Final = "Cancelled."


def supervise(folder: RunFolder, message: bytes, worker: Sequence[str], *, seconds: float) -> None:
    """Run ``worker`` with ``message`` on its stdin, to its end or for ``seconds``; its lines go to the run's log.

    SIGTERM cancels: the build gets SIGINT, and what is left of it after a grace time is killed. The log always ends
    with a result or an error.
    """
    process = subprocess.Popen(
        worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    stopper = _Stopper(process)
    signal.signal(signal.SIGTERM, stopper.on_signal)
    deadline = threading.Timer(seconds, stopper.stop, [f"It took longer than the {seconds:.0f} s that it may take."])
    deadline.daemon = True
    deadline.start()
    stdin, stdout, stderr = _pipes(process)
    tail = _Tail(stderr)
    with contextlib.suppress(BrokenPipeError):  # it died before it read: its end tells
        stdin.write(message)
        stdin.close()
    log = _Log(folder)
    while text := stdout.readline(wire.MAX_LINE):
        log.add(text)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    deadline.cancel()
    stopper.kill_group()  # what the build left running; before its leader is reaped, so the id is still its own
    code = process.wait()
    log.finish(_last_words(code, stopper.reason, tail.text()), overtime=stopper.reason not in {"", _CANCELLED})


class _Stopper:
    """Ends the build: gently, then not."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.reason = ""

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop(_CANCELLED)

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._signal_group(signal.SIGINT)
        killer = threading.Timer(_GRACE_SECONDS, self.kill_group)
        killer.daemon = True
        killer.start()

    def kill_group(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class _Tail:
    """Keeps the end of what a pipe carries, whatever its length."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._kept = bytearray()
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()

    def text(self) -> str:
        self._reader.join(timeout=1)  # a stray process may hold the pipe open for ever
        return self._kept.decode("utf-8", "replace").strip()

    def _read(self, pipe: BinaryIO) -> None:
        while piece := os.read(pipe.fileno(), 1 << 16):
            self._kept += piece
            del self._kept[:-_TAIL_BYTES]


class _Log:
    """The run's log: numbered lines, progress thinned out, bounded in size, and never without a last line."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._number = self._size = 0
        self._reported: dict[str, float] = {}
        self._last: wire.Line | None = None
        self._descriptor = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, text: bytes) -> None:
        """Take one line of the worker. Its result or error is held back until the worker is gone."""
        try:
            ((kind, body),) = json.loads(text).items()
        except (ValueError, AttributeError, TypeError):
            return
        if kind in {"result", "error"}:
            self._last = wire.Line(0, kind, body)
        elif kind == "event" and not self._thinned_out(body):
            with contextlib.suppress(
                OSError
            ):  # a full disk: the build will say so, and there is room for its last word
                self._write(kind, body)

    def finish(self, error: BuilderError | CancelledError, *, overtime: bool) -> None:
        """Write the last line: the worker's own or, where it had none, ``error``; also instead of "cancelled" after ``overtime``."""
        last = self._last
        if last is None or (overtime and last.body.get("code") == CancelledError.code):
            last = wire.Line(0, "error", wire.error_body(error))
        try:
            self._write(last.kind, last.body)
        except OSError as failure:
            if failure.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self._folder.reserve.unlink()
            self._write(last.kind, last.body)

    def _thinned_out(self, body: Mapping[str, Any]) -> bool:
        if self._size > _MAX_LOG:
            return body.get("state") not in {"started", "finished"}
        if body.get("state") != "progress" or (body.get("total") and body.get("done") == body.get("total")):
            return False
        step, now = str(body.get("step")), time.monotonic()
        if now - self._reported.get(step, -1e9) < _PROGRESS_SECONDS:
            return True
        self._reported[step] = now
        return False

    def _write(self, kind: wire.Kind, body: Mapping[str, Any]) -> None:
        text = wire.Line(self._number + 1, kind, body).dump()
        before = os.fstat(self._descriptor).st_size
        if os.write(self._descriptor, text) < len(text):
            os.ftruncate(self._descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._number += 1
        self._size += len(text)


def _last_words(code: int, stopped: str, tail: str) -> BuilderError | CancelledError:
    if stopped == _CANCELLED:
        return CancelledError(_CANCELLED, hint="The root is as it was; run the command again to go on.")
    if stopped:
        return BuilderError(f"The build was stopped. {stopped}", hint="Give it more time with --timeout.")
    if code < 0:
        name = signal.Signals(-code).name
        hint = (
            "The host's kernel kills what takes too much memory (`dmesg` there tells): use a larger one."
            if name == "SIGKILL"
            else ""
        )
        return BuilderError(f"The build was killed by {name}." + (f" It last said:\n{tail}" if tail else ""), hint=hint)
    return BuilderError(
        f"The build ended with exit code {code} and no result." + (f" It last said:\n{tail}" if tail else "")
    )


def _pipes(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO, BinaryIO]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("they were asked for")
    return process.stdin, process.stdout, process.stderr  # type: ignore[return-value]
