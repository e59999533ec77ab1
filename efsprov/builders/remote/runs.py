"""The folder of a run on the builder's host: what was asked, what was said, and who is at work on it."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.builders.remote import wire
from efsprov.core.errors import BuilderError

_KEPT_SECONDS: Final = 7 * 24 * 3600
_RESERVED_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its log; the lock on it is held for as long as the run is at work."""

    path: Path

    @classmethod
    def of(cls, run: str) -> "RunFolder":
        """Return the folder of a run of this user, by the run's id."""
        if not run.replace("-", "").replace("_", "").isalnum():
            raise BuilderError(f"{run!r} is not a run's id.")
        return cls(state_folder() / run)

    @property
    def log(self) -> Path:
        """The lines of the run."""
        return self.path / "log"

    @property
    def request(self) -> Path:
        """Digest of the message that started the run: the same message twice is one run."""
        return self.path / "request.sha256"

    @property
    def reserve(self) -> Path:
        """Bytes set aside, so that the run's last line finds room on a disk that the build has filled."""
        return self.path / "reserve"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run's lock; raises ``BlockingIOError`` when another process holds it."""
        with self._lock_file() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield

    def worker_pid(self) -> int | None:
        """Return the id of the process that holds the lock; None when nobody is at work."""
        try:
            with self._lock_file() as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(os.pread(descriptor, 20, 0) or 0) or None
        except FileNotFoundError:
            pass
        return None

    def reserve_disk_space(self) -> None:
        """Fill the reserve with bytes; raises ``OSError`` when the disk has none."""
        with self.reserve.open("wb") as file:
            file.write(os.urandom(_RESERVED_BYTES))  # zeros would take no room on a file system that compresses
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget the run."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def _lock_file(self) -> Iterator[int]:
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def state_folder() -> Path:
    """Return where this user's runs are kept on this host."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "efsprov" / "runs"


def remove_old_runs() -> None:
    """Forget runs that ended and that nobody has come back for in a week."""
    with contextlib.suppress(FileNotFoundError):
        for path in state_folder().iterdir():
            folder = RunFolder(path)
            if path.is_dir() and time.time() - path.stat().st_mtime > _KEPT_SECONDS and folder.worker_pid() is None:
                folder.remove()


class LogReader:
    """Reads whole lines of a log that is still being written."""

    def __init__(self, folder: RunFolder, *, after: int) -> None:
        self._folder = folder
        self._position = 0
        self.number = after

    def read(self) -> Iterator[wire.Line]:
        """Yield the lines that were written since the last time, those up to ``after`` left out."""
        try:
            with self._folder.log.open("rb") as file:
                file.seek(self._position)
                while (text := file.readline(wire.MAX_LINE)).endswith(b"\n"):
                    self._position += len(text)
                    line = wire.parse(text)
                    if line.number > self.number:
                        self.number = line.number
                        yield line
        except FileNotFoundError:
            return
