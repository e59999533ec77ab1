"""Where the files of a copy come from: a folder of this machine, or whatever else can give them by their paths."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.copying.folder import CopyFolder
from efsprov.store.fs.errors import root_error

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})


class Stream(Protocol):
    """A file that is read once, from its beginning to its end."""

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of ``view``; return how many bytes came, 0 at the end of the file."""
        ...

    def close(self) -> None:
        """Give back what it holds; the second time nothing happens."""
        ...


class TreeSource(Protocol):
    """Gives files by their entries, to many threads at once. ``path`` is what messages call the whole of it."""

    @property
    def path(self) -> Path:
        """See above."""
        ...

    def content(self, folder: CopyFolder, entry: FileEntry) -> bytes:
        """Return a small file's bytes, one more than ``entry.size`` at most. ``folder`` is the file's folder."""
        ...

    def stream(self, folder: CopyFolder, entry: FileEntry) -> Stream:
        """Open a file to be read in pieces."""
        ...

    def mismatch(self, entry: FileEntry) -> IntegrityError:
        """Return the error for a file whose bytes are not those that ``entry`` names."""
        ...


class _OpenFile:
    def __init__(self, fd: int, tree: "LocalTree", entry: FileEntry) -> None:
        self._fd, self._tree, self._entry = fd, tree, entry

    def readinto(self, view: memoryview) -> int:
        with self._tree.reading(self._entry):
            return os.readv(self._fd, [view])

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


@dataclass(frozen=True, slots=True)
class LocalTree:
    """The files below a folder that was checked before; see ``TreeSource``."""

    path: Path

    def content(self, folder: CopyFolder, entry: FileEntry) -> bytes:
        """See ``TreeSource``; raises ``IntegrityError`` for a file that is gone, ``RootError``."""
        with self.reading(entry):
            fd = self._open(folder, entry)
            try:
                content = os.read(fd, entry.size + 1)  # one more than there should be: no fstat is needed
                while len(content) <= entry.size and (more := os.read(fd, entry.size + 1 - len(content))):
                    content += more
            finally:
                os.close(fd)
        return content

    def stream(self, folder: CopyFolder, entry: FileEntry) -> Stream:
        """See ``TreeSource``; raises as ``content`` does."""
        with self.reading(entry):
            return _OpenFile(self._open(folder, entry), self, entry)

    def mismatch(self, entry: FileEntry) -> IntegrityError:
        """See ``TreeSource``."""
        return IntegrityError(
            f"{self.path / entry.path} is no longer what was checked: it changed, or is gone.",
            hint="Something wrote to the build folder (a smoke test that changes its own packages?). Run sync again.",
        )

    @contextmanager
    def reading(self, entry: FileEntry) -> Iterator[None]:
        """Raise what the file system refuses as an error that names the file."""
        try:
            yield
        except OSError as error:
            if error.errno in _GONE:
                raise self.mismatch(entry) from error
            raise root_error(error, "Reading", self.path / entry.path) from error

    @staticmethod
    def _open(folder: CopyFolder, entry: FileEntry) -> int:
        return os.open(entry.path.rpartition("/")[2], _READ, dir_fd=folder.source)
