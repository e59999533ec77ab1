"""What lies in a folder that may hold part of a release, and how it is taken away."""

import os
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Final

from efsprov.store.copying.plan import Found
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import lstat

_THREADS: Final = 32  # each listing and each removal is a round trip: they overlap


def scan(top: Path) -> dict[str, Found]:
    """Return all that lies below ``top``, by relative path; folders are listed in parallel, level by level."""
    found: dict[str, Found] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        level = [""]
        while level:
            listings = pool.map(lambda folder: _list(top, folder), level)
            level = []
            for listing in listings:
                found.update(listing)
                level.extend(path for path, there in listing if there.kind == "folder")
    return found


def remove(top: Path, *, files: Iterable[str], folders: Iterable[str], ops: FileOps) -> None:
    """Remove files, then folders, which must be listed deepest first; what is gone already is fine.

    A call that reports an error may have removed it nevertheless (its reply was lost), so the name is looked at.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda path: _take_away(ops.unlink, top / path), files))
        for _, level in groupby(folders, key=lambda path: path.count("/")):
            list(pool.map(lambda path: _take_away(ops.rmdir, top / path), level))


def _take_away(call: Callable[[str], None], path: Path) -> None:
    try:
        call(str(path))
    except OSError:
        if lstat(path) is not None:
            raise


def _list(top: Path, folder: str) -> list[tuple[str, Found]]:
    with os.scandir(top / folder) as entries:
        return [
            (f"{folder}/{entry.name}" if folder else entry.name, _found(entry.stat(follow_symlinks=False)))
            for entry in entries
        ]


def _found(status: os.stat_result) -> Found:
    if stat.S_ISDIR(status.st_mode):
        return Found("folder")
    return Found(
        "file" if stat.S_ISREG(status.st_mode) else "other",
        status.st_size,
        stat.S_IMODE(status.st_mode),
        status.st_nlink,
    )
