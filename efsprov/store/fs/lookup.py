"""Reads of names that ask the server instead of a cache.

A Linux NFS client answers look-ups from its cache until the directory's attributes expire: up to a minute for a name
that changed, and a name that was missing stays missing for a while (measured on NFSv4.1 against NFS-Ganesha). Opening
the directory first makes it ask (close-to-open consistency, RFC 8881 section 10.3.1). Whoever decides something by
whether a name exists, above all after a call whose reply may have been lost, has to ask this way.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Open a directory to look names up in it; raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def lstat(path: Path) -> os.stat_result | None:
    """Return the status of what lies at ``path`` (links are not followed), None where nothing does."""
    try:
        with open_directory(path.parent) as fd:
            return os.stat(path.name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_directory(path: Path) -> bool:
    """Tell whether a directory, and no link to one, lies at ``path``."""
    found = lstat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def link_text(path: Path) -> str | None:
    """Return where the symbolic link at ``path`` points, None where nothing lies there; "" for what is not a link."""
    try:
        with open_directory(path.parent) as fd:
            return os.readlink(path.name, dir_fd=fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return ""
        raise


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file; raises ``OSError`` for anything else, a link or a FIFO among them.

    Whoever may write to the root can put a FIFO where a file was, and opening that would wait for ever.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return file.read()
