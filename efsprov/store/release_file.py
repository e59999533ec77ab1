"""Reads a file of a release while it is held against the release's file list."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.fs.errors import translate_os_errors

_CHUNK: Final = 1 << 20  # one NFS READ at rsize=1048576
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def read_release_file(release: Path, entry: FileEntry, *, hashed: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a file of the release in the folder ``release``, never more than its entry has.

    Raises ``IntegrityError`` at the end if it has another size or, with ``hashed``, another SHA-256; ``RootError``.
    """
    path, digest, count = release / entry.path, hashlib.sha256(), 0
    with translate_os_errors("Reading a file of the release", path):
        try:
            fd = os.open(path, _READ)
        except FileNotFoundError:
            raise _damaged(path) from None
        with os.fdopen(fd, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                count += len(chunk)
                if count > entry.size:
                    break
                if hashed:
                    digest.update(chunk)
                yield chunk
    if count != entry.size or (hashed and digest.hexdigest() != entry.sha256):
        raise _damaged(path)


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path} is not what the release's file list says.",
        hint="`efsprov verify` names all that is wrong; take another release, or sync again.",
    )
