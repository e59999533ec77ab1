"""What a copy has done so far, counted by many threads and told to one."""

import threading
from dataclasses import dataclass, field
from typing import Final

from efsprov.core.filelist import FileEntry

_FILE_AS_BYTES: Final = 1 << 18  # what a file costs besides its bytes, in bytes: round trips, not bandwidth


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far a copy is. Files and bytes that were there already or are linked count as done; ``seconds`` is its age."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    linked_files: int
    linked_bytes: int
    kept_files: int
    kept_bytes: int
    written_bytes: int
    seconds: float
    started_at: float = 0.0

    @property
    def rate(self) -> float:
        """Bytes written a second, on average."""
        return self.written_bytes / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        """Say it for people: `1330 of 21158 files, 1200 linked (310 MB), 40 kept (2 MB)`."""
        parts = [f"{self.files_done} of {self.files_total} files"]
        if self.linked_files:
            parts.append(f"{self.linked_files} linked ({self.linked_bytes / 1e6:.0f} MB)")
        if self.kept_files:
            parts.append(f"{self.kept_files} kept ({self.kept_bytes / 1e6:.0f} MB)")
        return ", ".join(parts)

    @property
    def fraction(self) -> float:
        """How much of the work is done, 0 to 1; a file weighs what it costs besides its bytes, too."""
        total = self.bytes_total + self.files_total * _FILE_AS_BYTES
        return (self.bytes_done + self.files_done * _FILE_AS_BYTES) / total if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """How long it takes if it goes on as since the start; None while there is nothing to go by."""
        done = self.fraction - self.started_at
        return self.seconds * (1 - self.fraction) / done if done > 0 else None


@dataclass
class Tally:
    """The counters. ``kept`` are the entries that were there when the copy began."""

    files_total: int
    bytes_total: int
    kept_files: int
    kept_bytes: int
    linked_files: int = 0
    linked_bytes: int = 0
    finished_files: int = 0
    written_bytes: int = 0
    spared_bytes: int = 0
    _finished: list[FileEntry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def linked(self, entry: FileEntry) -> None:
        """Count a file that is linked."""
        with self._lock:
            self.linked_files += 1
            self.linked_bytes += entry.size
            self._finished.append(entry)

    def wrote(self, size: int) -> None:
        """Count bytes that were written."""
        with self._lock:
            self.written_bytes += size

    def spared(self, size: int) -> None:
        """Count bytes that were found in place and not written again."""
        with self._lock:
            self.spared_bytes += size

    def finished(self, entry: FileEntry) -> None:
        """Count a file that is written and closed."""
        with self._lock:
            self.finished_files += 1
            self._finished.append(entry)

    def take_finished(self) -> list[FileEntry]:
        """Return the files that were finished since the last call."""
        with self._lock:
            taken, self._finished = self._finished, []
        return taken

    @property
    def created(self) -> int:
        """How many names were created: what round trips are spent on, and what the page cache does not blur."""
        return self.finished_files + self.linked_files

    def progress(self, seconds: float) -> CopyProgress:
        """Return how far the copy is after ``seconds``."""
        total = self.bytes_total + self.files_total * _FILE_AS_BYTES
        return CopyProgress(
            files_done=self.kept_files + self.linked_files + self.finished_files,
            files_total=self.files_total,
            bytes_done=self.kept_bytes + self.linked_bytes + self.written_bytes + self.spared_bytes,
            bytes_total=self.bytes_total,
            linked_files=self.linked_files,
            linked_bytes=self.linked_bytes,
            kept_files=self.kept_files,
            kept_bytes=self.kept_bytes + self.spared_bytes,
            written_bytes=self.written_bytes,
            seconds=seconds,
            started_at=(self.kept_bytes + self.kept_files * _FILE_AS_BYTES) / total if total else 0.0,
        )
