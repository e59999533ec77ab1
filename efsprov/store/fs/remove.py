"""Removing trees that nobody should need any more, on a file system where somebody still might."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import lstat

_LONG_PATH = 3000
_THREADS = 16  # an unlink is a round trip: they overlap


@dataclass(frozen=True)
class Removed:
    """``freed``: bytes whose last link went; ``left``: what could not be removed, with the reason, for the next time."""

    freed: int = 0
    left: tuple[tuple[Path, str], ...] = ()

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(self.freed + other.freed, self.left + other.left)


def remove_tree(ops: FileOps, top: Path) -> Removed:
    """Remove ``top`` and all below it, as far as that can be done; raises nothing that the file system may say.

    A file that a process of this machine holds open becomes `.nfsXXXX` when it is removed, and keeps its folder from
    being removed (measured: ENOTEMPTY) until that process closes it. So what is left is reported, not raised.
    """
    found = lstat(top)
    if found is None:
        return Removed()
    with ThreadPoolExecutor(_THREADS) as pool:
        if not stat.S_ISDIR(found.st_mode):
            return _each(pool, [(top, _bytes_of(found))], ops.unlink)
        levels, removed = [[top]], Removed()
        while levels[-1]:
            below: list[Path] = []
            for files, folders, refused in pool.map(_list, levels[-1]):
                below += [_lifted(ops, top, folder) for folder in folders]
                removed += Removed(left=refused)
                removed += _each(pool, files, ops.unlink)
            levels.append(below)
        for level in reversed(levels):
            removed += _each(pool, [(folder, 0) for folder in level], ops.rmdir)
    return removed


def _lifted(ops: FileOps, top: Path, folder: Path) -> Path:
    """Move a folder whose path is getting too long for a system call (PATH_MAX, 4,096 bytes) to just below ``top``."""
    if len(os.fsencode(folder)) < _LONG_PATH:
        return folder
    lifted = top / f".deep-{uuid4().hex}"
    try:
        ops.rename(str(folder), str(lifted))
    except OSError:  # then what lies below it is named in the report
        return folder
    return lifted


def _list(folder: Path) -> tuple[list[tuple[Path, int]], list[Path], tuple[tuple[Path, str], ...]]:
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                else:
                    files.append((folder / entry.name, _bytes_of(entry.stat(follow_symlinks=False))))
    except OSError as error:
        return files, folders, ((folder, error.strerror or str(error)),)
    return files, folders, ()


def _bytes_of(status: os.stat_result) -> int:
    return status.st_blocks * 512 if status.st_nlink == 1 else 0


def _each(pool: ThreadPoolExecutor, paths: list[tuple[Path, int]], remove: Callable[[str], None]) -> Removed:
    reasons = pool.map(lambda item: _try(remove, item[0]), paths)
    freed, left = 0, []
    for (path, size), reason in zip(paths, reasons, strict=True):
        if reason:
            left.append((path, reason))
        else:
            freed += size
    return Removed(freed, tuple(left))


def _try(remove: Callable[[str], None], path: Path) -> str:
    try:
        remove(str(path))
    except OSError as error:
        try:
            gone = lstat(path) is None  # then the reply was lost, or somebody else removed it: it is as wanted
        except OSError:
            gone = False
        return "" if gone else error.strerror or str(error)
    return ""
