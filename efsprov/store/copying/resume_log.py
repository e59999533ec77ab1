"""What a copy notes beside staging about the files that it finished, so that the next one need not read them again.

Size and mode do not show that a file is whole: one that is written in parallel pieces has its full size early, and a
local disk may come back from a power loss with full-size files of zeros. So a note is believed only

- where the file system is NFS: closing a file wrote it to the server's stable storage before it was noted
  (RFC 8881, 18.32 and 10.3.1: modified data is flushed at close), whoever reads the note, or
- where this machine has not booted since, and no write is known to be lost: what a killed process had written is still in
  the page cache or on disk.

Anything else is read and compared. A note names path, size, mode and SHA-256; before a noted file is replaced, the
record is written again without it.
"""

import errno
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from efsprov.core import filelist
from efsprov.core.filelist import FileEntry
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import lstat, read_regular

_SUFFIX: Final = ".copied"
_LASTING: Final = "lasting"
_NETWORK: Final = frozenset({"nfs", "nfs4"})


def record_path(staging: Path) -> Path:
    """Where the notes about ``staging`` lie: beside it, since staging becomes the release as it is."""
    return staging.with_name(staging.name + _SUFFIX)


def notes_last(folder: Path) -> bool:
    """Tell whether a file that was noted as finished on this file system is whole whatever became of its writer.

    So it is on NFS without write delegations, which EFS does not give: then closing a file flushes it.
    """
    return file_system_type(folder) in _NETWORK


def scope_of(folder: Path) -> str:
    """Tell how long a finished file is known to be whole on this file system: for good, or until the machine reboots."""
    if notes_last(folder):
        return _LASTING
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def file_system_type(folder: Path) -> str:
    """Return the type of the file system that holds ``folder``, as /proc names it ('' when it does not)."""
    status = os.stat(folder)
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            if before.split()[2] == device:
                return after.split()[0]
    return ""


class CopyRecord:
    """The notes about one staging folder. ``trusted`` are the entries that need not be read again."""

    def __init__(self, staging: Path, *, ops: FileOps, scope: str | None = None) -> None:
        self._path = record_path(staging)
        self._ops = ops
        self._scope = scope or scope_of(staging)
        self._fd = -1
        self.trusted = self._read()

    def keep(self, kept: Iterable[FileEntry]) -> None:
        """Forget all but ``kept``, in one step; to be called before any other file is replaced."""
        self.trusted = frozenset(kept)
        content = f"# {self._scope}\n".encode() + _lines(self.trusted)
        beside = f"{self._path}.new"
        self._fd = self._ops.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
        self._append(content)
        try:
            self._ops.rename(beside, str(self._path))
        except OSError:
            if lstat(Path(beside)) is not None:  # else it happened, and only the reply was lost
                raise

    def note(self, finished: Iterable[FileEntry]) -> None:
        """Add files that are whole, closed and named."""
        lines = _lines(finished)
        if lines:
            self._append(lines)

    def close(self) -> None:
        """Close the record; it stays for the next copy."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._ops.close(fd)

    def _append(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._ops.write(self._fd, view) :]
        if self._scope == _LASTING:
            self._ops.fsync(self._fd)  # for a machine that goes on after this one is gone

    def _read(self) -> frozenset[FileEntry]:
        try:
            header, *lines = read_regular(self._path).split(b"\n")[:-1] or [b""]
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO}:
                raise  # what is not a file holds no notes: everything is read and compared
            return frozenset()
        if header.decode("ascii", "replace") not in {f"# {_LASTING}", f"# {self._scope}"}:
            return frozenset()
        noted = {}
        for line in lines:
            checksum, _, text = line.partition(b" ")
            if checksum == _checksum(text):  # else it was torn by a crash: one note less
                (entry,) = filelist.parse(text.decode("utf-8", "surrogateescape"), where=str(self._path))
                noted[entry.path] = entry
        return frozenset(noted.values())


def _lines(entries: Iterable[FileEntry]) -> bytes:
    lines = filelist.dump(entries).encode("utf-8", "surrogateescape").split(b"\n")[:-1]
    return b"".join(b"%s %s\n" % (_checksum(line), line) for line in lines)


def _checksum(line: bytes) -> bytes:
    return b"%08x" % zlib.crc32(line)


def forget(staging: Path, *, ops: FileOps) -> None:
    """Remove the notes about ``staging``: it was published, or is gone."""
    path = record_path(staging)
    try:
        ops.unlink(str(path))
    except OSError:
        if lstat(path) is not None:
            raise
