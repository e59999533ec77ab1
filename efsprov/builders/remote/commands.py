"""The commands that the orchestrator gives on the builder's host: start, attach, cancel, remove."""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from efsprov.builders.remote import wire
from efsprov.builders.remote.runs import LogReader, RunFolder, remove_old_runs
from efsprov.builders.remote.supervise import supervise
from efsprov.builders.remote.work import StartMessage
from efsprov.core.errors import BuilderError, ConflictError

BEAT_SECONDS: Final = 5.0
"""An attached orchestrator hears at least this often from the host, and has to be heard as often."""
SILENCE_SECONDS: Final = 60.0
"""After this long without a word from the orchestrator, whoever follows the run is gone."""
_POLL_SECONDS: Final = 0.1


def start(message: bytes, program: Sequence[str]) -> str:
    """Start the run that ``message`` asks for, detached from this process, and return its id.

    The same message again changes nothing: a reply that was lost can be asked for once more.
    Raises ``ConflictError`` when another message has started a run of that id.
    """
    try:
        requested = StartMessage.model_validate_json(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BuilderError(f"The request is not one: {'.'.join(map(str, first['loc']))} {first['msg']}.") from error
    folder, digest = RunFolder.of(requested.request.run), hashlib.sha256(message).hexdigest()
    remove_old_runs()
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), folder.request.open("x") as file:
            file.write(digest)
        if folder.request.read_text() != digest:
            raise ConflictError(f"Run {requested.request.run} was started with another request.")
        if folder.log.exists() or folder.worker_pid():
            return requested.request.run
        folder.reserve_disk_space()
    except OSError as error:
        raise BuilderError(
            f"The run cannot be started in {folder.path} on the host: {error.strerror}.",
            hint="Free room on the host, or set XDG_STATE_HOME there to a folder that has it.",
        ) from error
    _spawn([*program, "supervise", requested.request.run], message, folder)
    return requested.request.run


def supervise_run(run: str, program: Sequence[str]) -> None:
    """Be the process that watches over a run: the message is on stdin, "ready" goes to stdout once the lock is held."""
    folder, message = RunFolder.of(run), sys.stdin.buffer.read()
    try:
        with folder.held():
            folder.log.touch(mode=0o600)
            os.write(1, b"ready\n")
            _redirect(1, os.devnull)
            requested = StartMessage.model_validate_json(message)
            supervise(folder, message, [*program, "work"], seconds=requested.seconds)
    except BlockingIOError:
        os.write(1, b"ready\n")  # another one is at it


def attach(run: str, *, after: int, lease: Path | None = None) -> None:
    """Print the run's lines from number ``after`` + 1 on, as they come, to the last; beats while there are none.

    Whoever follows says so by a byte on stdin now and then; each one renews ``lease``, the file that keeps an
    instance from powering itself off. Returns when the run ends, or when stdin does or falls silent.
    """
    folder = RunFolder.of(run)
    reader, listener = LogReader(folder, after=after), _Listener(lease)
    beaten = time.monotonic()
    while listener.there(_POLL_SECONDS):
        at_work = folder.worker_pid() is not None  # asked before the log is read: what it wrote last is in there
        for line in reader.read():
            _print(line)
            beaten = time.monotonic()
            if line.last:
                return
        if not at_work:
            _print(wire.Line(reader.number + 1, "error", wire.error_body(_vanished(folder))))
            return
        if time.monotonic() - beaten >= BEAT_SECONDS:
            _print(wire.Line(reader.number, "beat", {}))
            beaten = time.monotonic()


def cancel(run: str) -> None:
    """Ask a run to stop; one that has ended stays as it is."""
    if pid := RunFolder.of(run).worker_pid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def remove(run: str) -> None:
    """Forget a run that has ended; one that is at work is cancelled, and forgotten by a later run."""
    folder = RunFolder.of(run)
    if folder.worker_pid():
        cancel(run)
    else:
        folder.remove()


class _Listener:
    def __init__(self, lease: Path | None) -> None:
        self._lease = lease
        self._heard = time.monotonic()

    def there(self, seconds: float) -> bool:
        """Wait ``seconds`` for a byte; false when there is nobody any more."""
        if select.select([0], [], [], seconds)[0]:
            if not os.read(0, 4096):
                return False
            self._heard = time.monotonic()
            if self._lease is not None:
                with contextlib.suppress(OSError):  # a host that has no such timer has no such file
                    os.utime(self._lease)
        return time.monotonic() - self._heard < SILENCE_SECONDS


def _spawn(command: Sequence[str], message: bytes, folder: RunFolder) -> None:
    """Start the supervisor in a session of its own and return when it has the run's lock."""
    with (folder.path / "supervisor.err").open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, cwd="/"
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("they were asked for")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(message)
            process.stdin.close()
        if process.stdout.readline() != b"ready\n":
            result = (folder.path / "supervisor.err").read_text("utf-8", "replace")[-2000:]
            raise BuilderError(f"The run did not start on the host.\n{result}".rstrip())


def _vanished(folder: RunFolder) -> BuilderError:
    if not folder.log.exists():
        return BuilderError(f"There is no run {folder.path.name} on this host.", hint="Run the command again.")
    return BuilderError(
        "The build was killed with all that watched over it.",
        hint="The host was restarted, or its kernel was short of memory: `dmesg` there tells.",
    )


def _print(line: wire.Line) -> None:
    sys.stdout.buffer.write(line.dump())
    sys.stdout.buffer.flush()


def _redirect(descriptor: int, path: str) -> None:
    opened = os.open(path, os.O_WRONLY)
    os.dup2(opened, descriptor)
    os.close(opened)
