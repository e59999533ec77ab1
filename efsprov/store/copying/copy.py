"""The copy of a checked local tree into staging on the root: parallel, with few round trips, resumable.

Used by dependencies and models alike. It leaves syncfs(2) to the publisher: one durable point for the whole release.
"""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from efsprov.core.filelist import FileEntry
from efsprov.store.copying.concurrency import Concurrency
from efsprov.store.copying.file import FileCopier
from efsprov.store.copying.folder import CopyFolder, FolderBudget
from efsprov.store.copying.hard_links import LinkIndex
from efsprov.store.copying.plan import CopyPlan, plan_copy
from efsprov.store.copying.progress import CopyProgress, Tally
from efsprov.store.copying.resume_log import CopyRecord
from efsprov.store.copying.scan import remove, scan
from efsprov.store.copying.source import LocalTree, TreeSource
from efsprov.store.copying.work_queue import Folder, WorkQueue
from efsprov.store.copying.worker import CopyWorker
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps

_TICK_SECONDS: Final = 0.1
_WINDOW_SECONDS: Final = 0.5  # one observation of the throughput
_NOTE_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 2.0
_DESCRIPTORS_A_WORKER: Final = 8  # a file's two ends, and what the folder that it leads has open
_DESCRIPTORS_A_FOLDER: Final = 2  # one that waits for its turn: in staging, and in the release that it is linked from
_DESCRIPTORS_OF_OTHERS: Final = 24
_DESCRIPTORS: Final = 16_384
_SWITCH_SECONDS: Final = 0.05
_JOIN_SECONDS: Final = 10.0  # a call to a server that is gone does not end; its thread is left behind


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """Bounds of a copy: files under way at once, folders held open ahead, the buffers (bytes) of large files."""

    workers: int = 64
    folders: int = 6_000
    buffers: int = 32
    buffer_size: int = 1 << 20

    def within(self, descriptors: int) -> "CopyLimits":
        """Return limits under which no more than ``descriptors`` are open at once (a few dozen at the least)."""
        workers = max(2, min(self.workers, descriptors // (2 * _DESCRIPTORS_A_WORKER)))
        spare = max(0, descriptors - workers * _DESCRIPTORS_A_WORKER)
        folders = min(self.folders, spare // _DESCRIPTORS_A_FOLDER)
        return replace(self, workers=workers, folders=folders)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did. ``kept`` was in staging already; ``workers`` is the concurrency that it ended with."""

    files: int
    bytes: int
    linked_files: int
    linked_bytes: int
    kept_files: int
    kept_bytes: int
    written_files: int
    written_bytes: int
    removed: int
    seconds: float
    workers: int


def copy_tree(
    source: Path | TreeSource,
    staging: Path,
    files: Sequence[FileEntry],
    *,
    ops: FileOps,
    links: LinkIndex | None = None,
    progress: Callable[[CopyProgress], None] | None = None,
    check: Callable[[], None] | None = None,
    limits: CopyLimits | None = None,
) -> CopyReport:
    """Make ``staging`` hold exactly ``files``, with the content that ``source`` has and the SHA-256 that they name.

    ``source`` is a folder of this machine, or what else can give the files, see ``TreeSource``.
    ``staging`` is a folder of nobody else's; it may be missing, or hold part of this or another copy. ``links`` says
    what to link instead of writing. ``progress`` is called in this thread, at most every 0.1 s and once at the end.
    ``check`` is called every two seconds and may raise to stop the copy (is the publisher lock still held?).

    Raises ``IntegrityError`` when a file of ``source`` is not what ``files`` says, ``RootError`` for what the file
    system refuses. Whatever ends it early, the next copy into the same staging goes on from there.
    """
    began = time.monotonic()
    tree = LocalTree(source) if isinstance(source, Path) else source
    limits = limits or CopyLimits()
    links = links or LinkIndex()
    with translate_os_errors("Copying", staging), _raised_descriptor_limit():
        limits = limits.within(_free_descriptors())
        if not staging.is_dir():
            _make_staging(staging, ops)
        record = CopyRecord(staging, ops=ops)
        try:
            plan = plan_copy(files, found=scan(staging), trusted=record.trusted, linkable=links.where)
            record.keep(plan.kept)
            remove(staging, files=plan.remove_files, folders=plan.remove_folders, ops=ops)
            tally = _tally(files, plan)
            budget = FolderBudget(limits.folders)
            queue = WorkQueue(
                limit=limits.workers, buffers=limits.buffers, buffer_size=limits.buffer_size, budget=budget
            )
            queue.add(Folder.of(plan.top, CopyFolder("", tree.path, staging, budget)))
            copier = FileCopier(tree, staging, ops=ops, links=links, queue=queue, tally=tally)
            worker = CopyWorker(staging, ops=ops, queue=queue, copier=copier)
            run = _Run(queue, worker, tally, record, limits)
            run.until_done(began, progress, check)
        finally:
            record.close()
    return CopyReport(
        files=tally.files_total,
        bytes=tally.bytes_total,
        linked_files=tally.linked_files,
        linked_bytes=tally.linked_bytes,
        kept_files=tally.kept_files,
        kept_bytes=tally.kept_bytes + tally.spared_bytes,
        written_files=tally.finished_files,
        written_bytes=tally.written_bytes,
        removed=len(plan.remove_files) + len(plan.remove_folders),
        seconds=time.monotonic() - began,
        workers=run.concurrency.limit,
    )


class _Run:
    """The threads of one copy, and the one that looks after them."""

    def __init__(
        self,
        queue: WorkQueue,
        worker: CopyWorker,
        tally: Tally,
        record: CopyRecord,
        limits: CopyLimits,
    ) -> None:
        self.concurrency = Concurrency(low=min(4, limits.workers), high=limits.workers)
        self._queue, self._worker, self._tally, self._record = queue, worker, tally, record
        self._threads: list[threading.Thread] = []

    def until_done(
        self, began: float, progress: Callable[[CopyProgress], None] | None, check: Callable[[], None] | None
    ) -> None:
        """Run to the end; raises the first worker's error, or what ``progress`` and ``check`` raise."""
        interval = sys.getswitchinterval()
        # Threads that wait for the interpreter ask for it at this interval. Here each gives it up by itself within
        # microseconds, at its next system call, and being asked by dozens costs more than the work.
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            self._start_workers()
            self._watch(began, progress, check)
        finally:
            sys.setswitchinterval(interval)
            self._queue.stop()
            self._join()
            with suppress(OSError):  # without this note the next copy reads a few files again, no more
                self._record.note(self._tally.take_finished())
        if self._queue.error is not None:
            raise self._queue.error
        if progress is not None:
            progress(self._tally.progress(time.monotonic() - began))

    def _watch(
        self, began: float, progress: Callable[[CopyProgress], None] | None, check: Callable[[], None] | None
    ) -> None:
        observed = noted = checked = time.monotonic()
        created = 0
        while not self._queue.finished.wait(_TICK_SECONDS):
            now = time.monotonic()
            if now - observed >= _WINDOW_SECONDS:
                done = self._tally.created
                rate = (done - created) / (now - observed)
                self._queue.set_limit(self.concurrency.observe(rate, starved=self._queue.starved))
                observed, created = now, done
            if now - noted >= _NOTE_SECONDS:
                self._record.note(self._tally.take_finished())
                noted = now
            if check is not None and now - checked >= _CHECK_SECONDS:
                check()
                checked = now
            if progress is not None:
                progress(self._tally.progress(now - began))

    def _start_workers(self) -> None:
        for number in range(self.concurrency.high):  # those above the limit wait
            thread = threading.Thread(target=self._worker.work, args=(number,), name=f"copy-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _join(self) -> None:
        until = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._queue.close()


@contextmanager
def _raised_descriptor_limit() -> Iterator[None]:
    """Use as many descriptors as this process may have: the usual soft limit of 1,024 is there for select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _free_descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1,024 in Lambda, and no more
    if soft == resource.RLIM_INFINITY:
        return _DESCRIPTORS
    return soft - len(os.listdir("/proc/self/fd")) - _DESCRIPTORS_OF_OTHERS


def _make_staging(staging: Path, ops: FileOps) -> None:
    try:
        ops.mkdir(str(staging), 0o755)
    except OSError:
        if not os.path.isdir(staging):
            raise


def _tally(files: Sequence[FileEntry], plan: CopyPlan) -> Tally:
    return Tally(
        files_total=len(files),
        bytes_total=sum(entry.size for entry in files),
        kept_files=len(plan.kept),
        kept_bytes=sum(entry.size for entry in plan.kept),
    )
