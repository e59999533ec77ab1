"""A run's record on the root: what was asked, what was said so far, and who is at work on it.

It lies on the root because nothing else outlives an execution environment that Lambda may end at any moment: the next
environment goes on with the record, and whoever asks how the build is doing reads it through the same function. No
second AWS service and no further permission is needed for that.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from efsprov.builders.remote import wire
from efsprov.core.errors import BuilderError, IntegrityError, UsageError

FOLDER: Final = ".runs"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_KEPT_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class RunRecord:
    """The folder ROOT/.runs/RUN. Its ``log`` has numbered lines; a result or an error is the last one for good."""

    path: Path

    @classmethod
    def of(cls, root: str, run: str) -> "RunRecord":
        """Return the record of a run; raises ``UsageError`` where ``run`` cannot be a run's id.

        Raises ``IntegrityError`` where the record lies behind a link, which efsprov never makes.
        """
        if not _ID.fullmatch(run):
            raise UsageError(f"{run!r} is not a run's id.", hint="An id has 8 to 64 letters, digits, - and _.")
        for folder in (Path(root, FOLDER), Path(root, FOLDER, run)):
            if folder.is_symlink():
                raise IntegrityError(
                    f"{folder} is a link to {folder.readlink()}, and efsprov follows no links in the place of its folders.",
                    hint="Nothing was changed. Find out who made it; `rm` removes the link alone.",
                )
        return cls(Path(root, FOLDER, run))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one at work on the run, on whatever machine; raises ``BlockingIOError`` when another is.

        The lock goes when its holder dies, and then the next may go on.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(
            self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
        )  # LOCK_EX on NFS: open for writing
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(fd)

    @property
    def at_work(self) -> bool:
        """Whether somebody holds the run."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def keep_request(self, request: str) -> None:
        """Note what was asked, so that the run can be gone on with by its id alone."""
        beside = self.path / "request.new"
        beside.write_text(request, "utf-8")
        beside.replace(self.path / "request.json")

    def request(self) -> str:
        """Return what was asked; raises ``BuilderError`` where nobody knows of such a run."""
        try:
            return (self.path / "request.json").read_text("utf-8")
        except FileNotFoundError:
            raise BuilderError(
                f"There is no run {self.path.name} on the root.",
                hint="What a run leaves is kept for a day. `efsprov history` shows what was published.",
            ) from None

    def lines(self, *, after: int = 0) -> list[wire.Line]:
        """Return the whole lines with numbers above ``after``, oldest first."""
        try:
            text = (self.path / "log").read_bytes()
        except FileNotFoundError:
            return []
        found = (wire.parse(line + b"\n") for line in text[: text.rfind(b"\n") + 1].splitlines())
        return [line for line in found if line.number > after]

    def ask_to_cancel(self) -> None:
        """Have whoever is at work stop; it looks now and then."""
        (self.path / "cancel").touch()

    @property
    def cancelled(self) -> bool:
        """Whether the run is to stop. The folder is listed: a name that was missing stays missing in NFS's cache."""
        return "cancel" in os.listdir(self.path)  # noqa: PTH208


@dataclass
class RunLog:
    """Appends to a record's log, for the one that holds the run. What a killed one left half-written is cut off."""

    record: RunRecord
    number: int = 0
    _fd: int = field(default=-1, repr=False)

    def __post_init__(self) -> None:
        path = self.record.path / "log"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.ftruncate(self._fd, whole)
        for line in text[:whole].splitlines():
            self.number = max(self.number, wire.parse(line + b"\n").number)

    def add(self, kind: wire.Kind, body: Mapping[str, Any]) -> wire.Line:
        """Write a line; on NFS others see it once it is on the server, so it is written through."""
        line = wire.Line(self.number + 1, kind, body)
        os.write(self._fd, line.dump())
        os.fsync(self._fd)
        self.number += 1
        return line

    def close(self) -> None:
        """Close the log."""
        os.close(self._fd)


def plain(line: wire.Line) -> dict[str, Any]:
    """Return a line as the JSON data that it is on the wire."""
    response: dict[str, Any] = json.loads(line.dump())
    return response


def sweep(root: str) -> None:
    """Forget the runs that nobody has touched for a day and nobody is at work on."""
    folder = Path(root, FOLDER)
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            return  # what is behind it is not the root's
        for path in folder.iterdir():
            if path.is_symlink() or not _ID.fullmatch(path.name):
                continue
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS and not RunRecord(path).at_work:
                shutil.rmtree(path, ignore_errors=True)
