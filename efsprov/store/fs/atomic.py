"""Writing the small files of the store: whole, to stable storage, and nothing left where that fails."""

import os
from contextlib import suppress
from pathlib import Path

from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import lstat


def write_file(ops: FileOps, path: Path, content: bytes) -> None:
    """Write a small file whole and to stable storage. Not atomic: for files that nobody reads before a later rename."""
    fd = ops.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
    try:
        view = memoryview(content)
        while view:
            view = view[ops.write(fd, view) :]
        ops.fsync(fd)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what counts
            ops.close(fd)
        raise
    ops.close(fd)


def write_atomically(ops: FileOps, path: Path, content: bytes, tx: str) -> None:
    """Put a small file in place in one step, over what may be there. ``tx`` makes its temporary name unique."""
    beside = path.with_name(f"{path.name}.{tx}")
    try:
        write_file(ops, beside, content)
        ops.rename(str(beside), str(path))
    except BaseException as error:
        if isinstance(error, OSError) and lstat(beside) is None and _holds(path, content):
            return  # the rename happened and its reply was lost
        discard(ops, beside)
        raise


def discard(ops: FileOps, path: Path) -> None:
    """Remove a temporary file of ours if that can be done; the next publisher's clean-up takes what stays."""
    with suppress(OSError):
        if lstat(path) is not None:
            ops.unlink(str(path))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
