"""One file into staging: linked, written, or repaired.

Round trips a file on NFSv4.1: OPEN, WRITE, CLOSE, or LINK. Calls are relative to an open folder (a path would be looked
up part by part); the mode travels in the OPEN; there is no O_EXCL, which would cost a SETATTR, and no O_TRUNC: what is
in the way was removed before, so a file that is some release's too is never written to.
"""

import errno
import hashlib
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.core.filelist import FileEntry
from efsprov.store.copying.cached_stat import cached_stat
from efsprov.store.copying.folder import CopyFolder, look_in
from efsprov.store.copying.hard_links import LinkIndex, LinkSource
from efsprov.store.copying.large_file import PiecewiseCopy
from efsprov.store.copying.plan import Task
from efsprov.store.copying.progress import Tally
from efsprov.store.copying.source import Stream, TreeSource
from efsprov.store.copying.work_queue import WorkQueue
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps

SMALL: Final = 1 << 18  # bytes that are read before the file is created, so that its folder is not kept waiting
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
_REPAIR: Final = os.O_RDWR | os.O_NOFOLLOW
# What is not a failure but a reason to write the file: its links are used up, or its release is being pruned;
_NO_LINK_TO_IT: Final = frozenset({errno.EMLINK, errno.ENOENT, errno.ESTALE})
# or there are no links here at all, or none for us.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EACCES, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@dataclass(slots=True)
class Source:
    """A source file: its ``content`` when that is small, else an open stream."""

    content: bytes | None = None
    stream: Stream | None = None

    def close(self) -> None:
        """Close the stream, if there is one."""
        if self.stream is not None:
            self.stream.close()


class FileCopier:
    """Copies files from ``source`` to ``staging``; ``umask`` are the mode bits that the process takes away."""

    def __init__(
        self, source: TreeSource, staging: Path, *, ops: FileOps, links: LinkIndex, queue: WorkQueue, tally: Tally
    ) -> None:
        self._source, self._staging = source, staging
        self._ops, self._queue, self._tally = ops, queue, tally
        self._refused: set[LinkSource] = set()
        self.links = links
        self.umask = 0

    def read(self, folder: CopyFolder, task: Task) -> Source:
        """Open a source file and read it if it is small; raises ``IntegrityError`` when it is not what was checked."""
        entry = task.entry
        if entry.size > SMALL or task.do == "repair":
            return Source(stream=self._source.stream(folder, entry))
        content = self._source.content(folder, entry)
        if len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise self._source.mismatch(entry)
        return Source(content)

    def can_link(self, folder: CopyFolder, task: Task) -> bool:
        """Tell whether the release that has the file still has it as its file list says."""
        source = self.links.source_of(task.entry.path)
        if source is None or source in self._refused:
            return False
        fd, names = folder.linked(source)
        return task.name in names and not source.refusal(cached_stat(task.name, fd), task.entry)

    def link(self, folder: CopyFolder, task: Task) -> bool:
        """Link a file that ``can_link`` was asked about; False when it has to be written instead."""
        name, source = task.name, self.links.source_of(task.entry.path)
        assert source is not None  # noqa: S101 (as can_link says)
        fd, _ = folder.linked(source)
        try:
            self._ops.link(name, name, src_dir_fd=fd, dst_dir_fd=folder.staging)
        except OSError as error:
            if not _is_same_file(name, fd, folder.staging):
                if error.errno in _NO_LINKS:
                    self._refused.add(source)
                elif error.errno not in _NO_LINK_TO_IT:
                    raise
                return False  # else it was made, and the reply was lost
        # LINK has brought the attributes as they are on the server now: what was asked before may have been older.
        if source.damage(cached_stat(name, fd), task.entry):
            self._ops.unlink(name, dir_fd=folder.staging)
            return False
        self._tally.linked(task.entry)
        return True

    def create(self, folder: CopyFolder, task: Task) -> int:
        """Open the file in staging, and return its descriptor."""
        if task.do == "repair":
            return self._ops.open(task.name, _REPAIR, dir_fd=folder.staging)
        mode = task.entry.mode
        target = self._ops.open(task.name, _NEW, mode, dir_fd=folder.staging)
        if self.umask & mode:
            try:
                self._ops.fchmod(target, mode)
            except BaseException:
                os.close(target)
                raise
        return target

    def fill(self, target: int, source: Source, task: Task) -> None:
        """Write the file and close both ends; a copy that was stopped leaves it as it is."""
        try:
            if source.content is None:
                assert source.stream is not None  # noqa: S101 (it has one of the two)
                whole = self._fill_by_pieces(target, source.stream, task)
            else:
                whole = True
                view = memoryview(source.content)
                while view:
                    view = view[self._ops.write(target, view) :]
                self._tally.wrote(len(source.content))
        except BaseException:
            os.close(target)
            raise
        finally:
            source.close()
        if whole:
            self._ops.close(target)
            self._tally.finished(task.entry)
        else:
            os.close(target)

    def _fill_by_pieces(self, target: int, source: Stream, task: Task) -> bool:
        repair = task.do == "repair"
        copy = PiecewiseCopy(
            task.entry,
            source,
            target,
            self._staging / task.entry.path,
            repair=repair,
            ops=self._ops,
            queue=self._queue,
            tally=self._tally,
        )
        found = copy.run()
        if found is None:
            return False
        if found != task.entry.sha256:
            raise self._source.mismatch(task.entry)
        if repair and os.fstat(target).st_size > task.entry.size:
            self._ops.ftruncate(target, task.entry.size)
        return True

    def translate_os_errors(self, entry: FileEntry) -> AbstractContextManager[None]:
        """Name ``entry`` in what the file system refuses."""
        return translate_os_errors("Copying", self._staging / entry.path)


def _is_same_file(name: str, one: int, other: int) -> bool:
    with suppress(OSError):  # a release that is being pruned cannot be asked any more
        found = [look_in(folder, name) for folder in (one, other)]
        return found[0] is not None and found[1] is not None and os.path.samestat(found[0], found[1])
    return False
