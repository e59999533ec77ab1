"""A disk that can lose power: what is on it after a cut, for every way in which unsynchronised calls may be lost.

The model is more pessimistic than POSIX file systems are. A call that made, renamed or removed a name survives for sure
only when every directory that it touched was synchronised (or the whole file system was); a write only when its file
was. Anything else may be lost or kept, each call for itself, in no order. A single call happens whole or not at all.
"""

# What is recorded are the calls of os, with their parameters.
# ruff: noqa: PTH115, PTH119, PTH120, PTH211

import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efsprov.store.durability import settle_earlier_writes
from efsprov.store.fs.fileops import FileOps
from tests.store.faulty_ops import CALLS


@dataclass
class Call:
    """One recorded call: names set (None: removed) in directories, or bytes written to a file; ``waits`` for its fsyncs."""

    names: tuple[tuple[int, str, int | None], ...] = ()
    data: tuple[int, int, bytes] | None = None
    waits: set[int] = field(default_factory=set)


@dataclass
class Disk:
    """Inodes by a number of their own (the real ones are used again), and the calls since the beginning."""

    links: dict[int, str] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    steps: list[tuple[int, frozenset[int]]] = field(default_factory=list)  # after each: calls made, and which are safe
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    _safe: set[int] = field(default_factory=set)
    _next: int = 1

    def number(self, status: os.stat_result, *, new: bool = False) -> int:
        key = (status.st_dev, status.st_ino)
        if new or key not in self._numbers:
            self._numbers[key], self._next = self._next, self._next + 1
            if stat.S_ISDIR(status.st_mode):
                self.folders.add(self._numbers[key])
        return self._numbers[key]

    def record(self, call: Call) -> None:
        call.waits = {folder for folder, _, _ in call.names} | ({call.data[0]} if call.data else set())
        self.calls.append(call)
        self._step()

    def synchronise(self, inode: int | None) -> None:
        """fsync of one inode, or with None of all."""
        for index, call in enumerate(self.calls):
            call.waits -= {inode} if inode is not None else call.waits
            if not call.waits:
                self._safe.add(index)
        self._step()

    def _step(self) -> None:
        self.steps.append((len(self.calls), frozenset(self._safe)))

    def survivors(self, step: int, chance: random.Random, samples: int) -> Iterator[set[int]]:
        """Sets of calls that a power cut after ``step`` may leave: the extremes, each call alone, and some at random."""
        made, safe = self.steps[step]
        pending = [index for index in range(made) if index not in safe]
        everything = safe | set(pending)
        yield set(safe)
        yield everything
        for index in pending:
            yield everything - {index}
            yield safe | {index}
        for _ in range(samples if len(pending) > 2 else 0):
            yield safe | {index for index in pending if chance.random() < 0.5}

    def tree(self, kept: set[int], top: int) -> dict[str, str | bytes | None]:
        """What lies below ``top`` when just these calls had happened: folders are None, links text, files bytes."""
        names: dict[int, dict[str, int]] = {}
        contents: dict[int, bytearray] = {}
        for index in sorted(kept):
            call = self.calls[index]
            for folder, name, inode in call.names:
                if inode is None:
                    names.get(folder, {}).pop(name, None)
                else:
                    names.setdefault(folder, {})[name] = inode
            if call.data:
                inode, offset, written = call.data
                content = contents.setdefault(inode, bytearray())
                content.extend(bytes(max(0, offset - len(content))))
                content[offset : offset + len(written)] = written
        found: dict[str, str | bytes | None] = {}
        below = [("", top)]
        while below:
            prefix, folder = below.pop()
            for name, inode in names.get(folder, {}).items():
                path = f"{prefix}{name}"
                if inode in self.folders:
                    found[path] = None
                    below.append((f"{path}/", inode))
                else:
                    found[path] = self.links[inode] if inode in self.links else bytes(contents.get(inode, b""))
        return found


def called_from(*functions: str) -> bool:
    """Tell whether each of ``functions`` is on the stack."""
    frame, names = sys._getframe(), set()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names.issuperset(functions)


def write_tree(tree: dict[str, str | bytes | None], top: Path) -> None:
    """Put a tree of `Disk.tree` on a real disk."""
    top.mkdir()
    for path, what in sorted(tree.items()):
        if what is None:
            (top / path).mkdir()
        elif isinstance(what, str):
            os.symlink(what, top / path)
        else:
            (top / path).write_bytes(what)
            (top / path).chmod(0o644)


class DiskOps(FileOps):
    """Does the calls for real and records them on a `Disk`. ``dropped`` says which synchronisations are left out."""

    def __init__(self, disk: Disk, dropped: Callable[[str, str], bool] = lambda call, folder: False) -> None:
        self.disk = disk
        self.dropped = dropped
        self.turn = threading.RLock()  # the copy has threads

    def mkdir(self, path: str, mode: int = 0o755, *, dir_fd: int | None = None) -> None:
        super().mkdir(path, mode, dir_fd=dir_fd)
        self._made(path, dir_fd)

    def open(self, path: str, flags: int, mode: int = 0o644, *, dir_fd: int | None = None) -> int:
        there = _status(path, dir_fd)
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        if there is None:
            self._made(path, dir_fd)
        elif flags & os.O_TRUNC and there.st_size:
            raise NotImplementedError("nothing of the store truncates what has content")
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        at = os.lseek(fd, 0, os.SEEK_CUR)
        count = super().write(fd, data)
        self._wrote(fd, at, bytes(data[:count]))
        return count

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        count = super().pwrite(fd, data, offset)
        self._wrote(fd, offset, bytes(data[:count]))
        return count

    def ftruncate(self, fd: int, length: int) -> None:
        raise NotImplementedError("only a copy that repairs a longer file truncates")

    def fsync(self, fd: int) -> None:
        if not self.dropped("fsync", os.readlink(f"/proc/self/fd/{fd}")):
            self.disk.synchronise(self.disk.number(os.fstat(fd)))

    def syncfs(self, fd: int) -> None:
        # what was written before a publisher came: that may fail and be ignored, so nothing may rest on it
        if not called_from(settle_earlier_writes.__name__) and not self.dropped("syncfs", ""):
            self.disk.synchronise(None)

    def link(self, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        super().link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        inode = self.disk.number(os.stat(target, dir_fd=dst_dir_fd))
        self._named((self._folder(target, dst_dir_fd), os.path.basename(target), inode))

    def symlink(self, text: str, path: str, *, dir_fd: int | None = None) -> None:
        super().symlink(text, path, dir_fd=dir_fd)
        self.disk.links[self._made(path, dir_fd)] = text

    def rename(self, source: str, target: str) -> None:
        inode = self.disk.number(os.lstat(source))
        super().rename(source, target)
        self._named(
            (self._folder(source, None), os.path.basename(source), None),
            (self._folder(target, None), os.path.basename(target), inode),
        )

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        super().unlink(path, dir_fd=dir_fd)
        self._named((self._folder(path, dir_fd), os.path.basename(path), None))

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        super().rmdir(path, dir_fd=dir_fd)
        self._named((self._folder(path, dir_fd), os.path.basename(path), None))

    def _made(self, path: str, dir_fd: int | None) -> int:
        inode = self.disk.number(os.stat(path, dir_fd=dir_fd, follow_symlinks=False), new=True)
        self._named((self._folder(path, dir_fd), os.path.basename(path), inode))
        return inode

    def _folder(self, path: str, dir_fd: int | None) -> int:
        return self.disk.number(os.stat(os.path.dirname(path) or ".", dir_fd=dir_fd))

    def _named(self, *names: tuple[int, str, int | None]) -> None:
        self.disk.record(Call(names=names))

    def _wrote(self, fd: int, offset: int, data: bytes) -> None:
        self.disk.record(Call(data=(self.disk.number(os.fstat(fd)), offset, data)))


def _in_turn(do: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: DiskOps, *args: Any, **kwargs: Any) -> Any:
        with self.turn:
            return do(self, *args, **kwargs)

    return call


for _name in [name for name in vars(DiskOps) if name in CALLS]:
    setattr(DiskOps, _name, _in_turn(vars(DiskOps)[_name]))


def _status(path: str, dir_fd: int | None) -> Any:
    try:
        return os.stat(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
