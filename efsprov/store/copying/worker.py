"""What a worker does with a folder in its hand: makes what is below it, then sends off its files in waves."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.store.copying.file import SMALL, FileCopier, Source
from efsprov.store.copying.folder import look_in
from efsprov.store.copying.plan import Task
from efsprov.store.copying.work_queue import Call, Folder, WorkQueue
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.umask import drop_umask

_READ_AHEAD: Final = SMALL  # bytes that one wave holds in memory, one file more at most


class CopyWorker:
    """The body of each thread of a copy is ``work``."""

    def __init__(self, staging: Path, *, ops: FileOps, queue: WorkQueue, copier: FileCopier) -> None:
        self.staging = staging
        self.ops, self.queue, self.copier = ops, queue, copier

    def work(self, number: int) -> None:
        """Take work until there is no more; an error stops the queue and is kept there."""
        try:
            self.copier.umask = drop_umask()
            while (job := self.queue.take(number)) is not None:
                if isinstance(job, Folder):
                    self._lead(job)
                else:
                    job.run()
        except BaseException as error:  # noqa: BLE001 (the thread that started the copy raises it again)
            self.queue.stop(error)

    def _lead(self, folder: Folder) -> None:
        with translate_os_errors("Copying into the folder", self.staging / folder.plan.path):
            calls: list[Call] = []
            if folder.to_make:
                names = [folder.to_make.popleft() for _ in range(min(self.queue.wave, len(folder.to_make)))]
                calls += [_MakeFolder(self, folder, name) for name in names]
            elif not folder.recovered:
                self._recover(folder)
            else:
                calls += self._next_files(folder)
            if len(calls) > 1:
                folder.handles.learn_permission()
        if calls:
            self.queue.send(folder, calls)
        else:
            self.queue.back(folder)

    def _recover(self, folder: Folder) -> None:
        folder.handles.refresh_names(len(folder.plan.folders))
        for below in folder.plan.folders:
            self.queue.add(Folder.of(below, folder.handles.below(below.name, self.copier.links.main)))
        folder.recovered = True
        folder.left = sum(task.weight for task in folder.tasks)
        self.queue.done()

    def _next_files(self, folder: Folder) -> list[Call]:
        calls: list[Call] = []
        held = 0
        try:
            while folder.tasks and len(calls) < self.queue.wave and held < _READ_AHEAD:
                task = folder.tasks.popleft()
                folder.left -= task.weight
                linkable = task.do == "link" and self.copier.can_link(folder.handles, task)
                source = None if linkable else self.copier.read(folder.handles, task)
                held += len(source.content or b"") if source else 0
                calls.append(_PlaceFile(self, folder, task, source))
        except BaseException:
            for call in calls:
                call.drop()
            raise
        return calls


@dataclass(frozen=True, slots=True)
class _MakeFolder:
    worker: CopyWorker
    folder: Folder
    name: str

    def run(self) -> None:
        ops, fd = self.worker.ops, self.folder.handles.staging
        with translate_os_errors("Making a folder", self.worker.staging / self.folder.plan.path / self.name):
            try:
                ops.mkdir(self.name, 0o755, dir_fd=fd)
            except OSError:
                there = look_in(fd, self.name)
                if there is None or not stat.S_ISDIR(there.st_mode):
                    raise  # else it was made, and the reply was lost
            if self.worker.copier.umask & 0o755:
                _open_to_all(ops, self.name, fd)
        self.worker.queue.entered(self.folder)

    def drop(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _PlaceFile:
    """A file to create (its source is open) or, without a source, to link."""

    worker: CopyWorker
    folder: Folder
    task: Task
    source: Source | None

    def run(self) -> None:
        copier, queue, handles = self.worker.copier, self.worker.queue, self.folder.handles
        with copier.translate_os_errors(self.task.entry):
            source = self.source
            if source is None and copier.link(handles, self.task):
                queue.entered(self.folder)
                queue.done()
                return
            source = source or copier.read(handles, self.task)
            try:
                target = copier.create(handles, self.task)
            except BaseException:
                source.close()
                raise
            queue.entered(self.folder)
            copier.fill(target, source, self.task)
        queue.done()

    def drop(self) -> None:
        if self.source is not None:
            self.source.close()


def _open_to_all(ops: FileOps, name: str, parent: int) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        ops.fchmod(fd, 0o755)
    finally:
        os.close(fd)
