"""Hashes the files of a tree, each once, on all processors."""

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.pipeline.stage.elf import MAGIC

# hashlib lets other threads run while it digests more than 2 KiB; many small files go to a thread at once, since
# handing them over one by one costs more than hashing them does.
_SMALL: Final = 64 << 10
_BATCH: Final = 64
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file lies under a name: its inode number, size in bytes, and last change of content in ns."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """Take it from a file's attributes."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file's digest, in hex, by the algorithm that was asked for, its SHA-256, and whether it is ELF.

    ``identity`` is what lay under its name when it was opened.
    """

    digest: str
    sha256: str
    identity: Identity
    is_elf: bool

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.identity.size


def hash_files(top: Path, sizes: Mapping[str, int], algorithms: Mapping[str, str]) -> dict[str, HashedFile]:
    """Hash the files under ``top`` that ``sizes`` names, by SHA-256 and by the algorithm that ``algorithms`` has."""
    large = [path for path, size in sizes.items() if size > _SMALL]
    small = [path for path, size in sizes.items() if size <= _SMALL]
    # The largest first and alone: a library of 500 MB that comes last keeps everybody waiting.
    batches = [[path] for path in sorted(large, key=lambda path: -sizes[path])]
    batches += [small[i : i + _BATCH] for i in range(0, len(small), _BATCH)]

    def work(batch: list[str]) -> list[tuple[str, HashedFile]]:
        return [(path, hash_file(f"{top}/{path}", algorithms.get(path, ""))) for path in batch]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {path: hashed for batch in pool.map(work, batches) for path, hashed in batch}


def hash_file(path: str, algorithm: str) -> HashedFile:
    """Hash one file; raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        there = Identity.of(os.fstat(fd))
        sha256 = hashlib.sha256()
        other = None if algorithm in {"", "sha256"} else hashlib.new(algorithm)
        # Read, not mapped: an installer may still be at work on it, and a file that shrinks under a map is a SIGBUS.
        buffer = memoryview(bytearray(min(max(there.size, 1), _PIECE)))
        head, left = b"", there.size
        while left > 0 and (count := os.readv(fd, [buffer])):  # not to the end of a file that may grow for ever
            part = buffer[: min(count, left)]
            left -= count
            head = head or bytes(part[: len(MAGIC)])
            sha256.update(part)
            if other is not None:
                other.update(part)
    finally:
        os.close(fd)
    digest = sha256.hexdigest()
    return HashedFile(digest if other is None else other.hexdigest(), digest, there, head == MAGIC)
