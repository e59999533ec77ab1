"""What one thread of a copy does: makes folders, opens files, writes and links them.

Round trips a file on NFSv4.1: OPEN, WRITE, CLOSE, or LINK. Calls are relative to an open folder (a path would be looked
up part by part); the mode travels in the OPEN; there is no O_EXCL, which would cost a SETATTR, and no O_TRUNC: what is
in the way was removed before, so a file that is some release's too is never written to.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.copy_folder import CopyFolder
from efsprov.store.copy_pieces import PiecewiseCopy
from efsprov.store.copy_plan import Task
from efsprov.store.copy_tally import Tally
from efsprov.store.fileops import FileOps
from efsprov.store.links import LinkIndex
from efsprov.store.oserrors import reported
from efsprov.store.own_umask import drop_umask
from efsprov.store.work_queue import Folder, Make, Place, WorkQueue

_SOURCE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
_MEND: Final = os.O_RDWR | os.O_NOFOLLOW
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
# A file system that has no links, no more links, or none for us; or a release that was pruned meanwhile.
_NO_LINK: Final = frozenset(
    {
        errno.EMLINK,
        errno.EPERM,
        errno.EACCES,
        errno.EXDEV,
        errno.ENOENT,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EINVAL,
        errno.ESTALE,
    }
)


class CopyWorker:
    """A worker of the copy from ``source`` to ``staging``; ``run`` is the body of its thread."""

    def __init__(
        self,
        number: int,
        source: Path,
        staging: Path,
        *,
        ops: FileOps,
        links: LinkIndex,
        queue: WorkQueue,
        tally: Tally,
    ) -> None:
        self._number = number
        self._source, self._staging = source, staging
        self._ops, self._links, self._queue, self._tally = ops, links, queue, tally
        self._umask = 0

    def run(self) -> None:
        """Take jobs until there are no more; an error stops the queue and is kept there."""
        try:
            self._umask = drop_umask()
            while (job := self._queue.take(self._number)) is not None:
                match job:
                    case Make():
                        self._make(job.folder)
                        self._queue.done()
                    case Place():
                        self._place(job.folder, job.task)
                        self._queue.done()
                    case _:
                        job.run()
        except BaseException as error:  # noqa: BLE001 (the thread that started the copy raises it again)
            self._queue.stop(error)

    def _make(self, folder: Folder) -> None:
        with self._in_hand(folder), reported("Making a folder", self._staging / folder.plan.path):
            folder.handles = CopyFolder(folder.plan.path, self._source, self._staging)
            if not folder.plan.exists and self._umask & 0o755:
                self._ops.fchmod(folder.handles.staging, 0o755)
            for below in folder.plan.folders:
                if not below.exists:
                    self._make_folder(below.path.rpartition("/")[2], folder.handles.staging)
                self._queue.add(below)

    def _make_folder(self, name: str, fd: int) -> None:
        try:
            self._ops.mkdir(name, 0o755, dir_fd=fd)
        except OSError:
            with suppress(OSError):
                if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    return  # it was made, and the reply was lost
            raise

    def _place(self, folder: Folder, task: Task) -> None:
        entry, path = task.entry, self._staging / task.entry.path
        with reported("Copying", path):
            with self._in_hand(folder):
                assert folder.handles is not None  # noqa: S101 (a folder's files come after its Make)
                if task.do == "link" and self._link(folder.handles, task.name, entry):
                    self._tally.linked(entry)
                    return
                source = self._open_source(folder.handles, task.name, entry)
                try:
                    content = self._read_small(source, entry) if task.do != "mend" else None
                    target = self._open_target(folder.handles, task)
                except BaseException:
                    os.close(source)
                    raise
            try:
                if content is not None:
                    self._write_all(target, content)
                elif not self._copy_pieces(source, target, task, path):
                    os.close(target)
                    return
            except BaseException:
                os.close(target)
                raise
            finally:
                os.close(source)
            self._ops.close(target)
        self._tally.finished(entry)

    @contextmanager
    def _in_hand(self, folder: Folder) -> Iterator[None]:
        yield
        self._queue.opened(folder)

    def _link(self, folder: CopyFolder, name: str, entry: FileEntry) -> bool:
        source = self._links.source_of(entry.path)
        if source is None:
            return False
        fd, listing = folder.linked(source)
        there = listing.get(name)
        if there is None or source.refusal(there, entry):
            return False
        try:
            self._ops.link(name, name, src_dir_fd=fd, dst_dir_fd=folder.staging)
        except OSError as error:
            with suppress(OSError):
                if os.path.samestat(os.stat(name, dir_fd=folder.staging, follow_symlinks=False), there):
                    return True  # it was made, and the reply was lost
            if error.errno in _NO_LINK:
                return False
            raise
        return True

    def _open_source(self, folder: CopyFolder, name: str, entry: FileEntry) -> int:
        try:
            return os.open(name, _SOURCE, dir_fd=folder.source)
        except OSError as error:
            if error.errno in _GONE:
                raise _changed(self._source, entry) from error
            raise

    def _read_small(self, source: int, entry: FileEntry) -> bytes | None:
        if entry.size > self._queue.buffer_size:
            return None
        content = os.read(source, entry.size + 1)  # one more than there should be: no fstat is needed
        while len(content) <= entry.size and (more := os.read(source, entry.size + 1 - len(content))):
            content += more
        if len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise _changed(self._source, entry)
        return content

    def _open_target(self, folder: CopyFolder, task: Task) -> int:
        mode = task.entry.mode
        if task.do == "mend":
            return self._ops.open(task.name, _MEND, dir_fd=folder.staging)
        target = self._ops.open(task.name, _NEW, mode, dir_fd=folder.staging)
        if self._umask & mode:
            try:
                self._ops.fchmod(target, mode)
            except BaseException:
                os.close(target)
                raise
        return target

    def _write_all(self, target: int, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._ops.write(target, view) :]
        self._tally.wrote(len(content))

    def _copy_pieces(self, source: int, target: int, task: Task, path: Path) -> bool:
        copy = PiecewiseCopy(
            task.entry,
            source,
            target,
            path,
            mend=task.do == "mend",
            ops=self._ops,
            queue=self._queue,
            tally=self._tally,
        )
        found = copy.run()
        if found is None:
            return False
        if found != task.entry.sha256:
            raise _changed(self._source, task.entry)
        if task.do == "mend" and os.fstat(target).st_size > task.entry.size:
            self._ops.ftruncate(target, task.entry.size)
        return True


def _changed(source: Path, entry: FileEntry) -> IntegrityError:
    return IntegrityError(
        f"{source / entry.path} is no longer what was checked: it changed, or is gone.",
        hint="Something wrote to the build folder (a smoke test that changes its own packages?). Run sync again.",
    )
