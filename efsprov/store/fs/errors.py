"""Turns what the file system refuses into a message for the reader."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efsprov.core.errors import RootError

_HINTS = {
    errno.ENOSPC: "The file system is full: free space, or name a larger root with --root.",
    errno.EDQUOT: "The quota is used up: free space with `efsprov prune`, or have the quota raised.",
    errno.EROFS: "It is mounted read-only: mount it read-write for the builder (functions may keep it read-only).",
    errno.EACCES: "Run as a user who may write there; on EFS look at the access point's uid, gid and ClientWrite.",
    errno.EPERM: "Run as a user who may write there; on EFS look at the access point's uid, gid and ClientWrite.",
    errno.EIO: "The server or the disk failed: look at the mount (`dmesg`), then run the command again.",
    errno.ESTALE: "The server no longer knows this file: mount the file system again, then run the command again.",
    errno.ENOTDIR: "A part of this path is a file: name another root with --root.",
    errno.ENAMETOOLONG: "Name a root with a shorter path.",
    errno.ELOOP: "A part of this path is a link to itself: name another root with --root.",
}


def root_error(error: OSError, doing: str, path: Path | str) -> RootError:
    """Say that ``doing`` at ``path`` failed with ``error``."""
    hint = _HINTS.get(error.errno or 0, "Look at the mount, then run the command again: it goes on where it stopped.")
    return RootError(f"{doing} failed at {path}: {error.strerror or error}.", hint=hint)


@contextmanager
def translate_os_errors(doing: str, path: Path | str) -> Iterator[None]:
    """Raise ``RootError`` for an ``OSError`` in the block; ``doing`` begins a sentence: 'Reading the journal'."""
    try:
        yield
    except OSError as error:
        raise root_error(error, doing, error.filename or path) from error
