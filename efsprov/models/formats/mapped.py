"""Files as memory, so that only what is looked at is read: weights are gigabytes, structure is kilobytes."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Yield a file's bytes, read-only; raises ``OSError``."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as view:
            yield view


def head(path: Path, length: int = 64) -> bytes:
    """Return a file's first bytes."""
    with path.open("rb") as file:
        return file.read(length)
