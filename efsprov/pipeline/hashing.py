"""Hashes the files of a tree, each once, on all processors."""

import hashlib
import mmap
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.pipeline.elf import MAGIC

# hashlib lets other threads run while it digests more than 2 KiB; many small files go to a thread at once, since
# handing them over one by one costs more than hashing them does.
_SMALL: Final = 64 << 10
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file's digest, in hex, by the algorithm that was asked for, its SHA-256, its size, and whether it is ELF."""

    digest: str
    sha256: str
    size: int
    is_elf: bool


def hash_files(top: Path, sizes: Mapping[str, int], algorithms: Mapping[str, str]) -> dict[str, HashedFile]:
    """Hash the files under ``top`` that ``sizes`` names, by SHA-256 and by the algorithm that ``algorithms`` has."""
    large = [path for path, size in sizes.items() if size > _SMALL]
    small = [path for path, size in sizes.items() if size <= _SMALL]
    # The largest first and alone: a library of 500 MB that comes last keeps everybody waiting.
    batches = [[path] for path in sorted(large, key=lambda path: -sizes[path])]
    batches += [small[i : i + _BATCH] for i in range(0, len(small), _BATCH)]

    def work(batch: list[str]) -> list[tuple[str, HashedFile]]:
        return [(path, _hash(f"{top}/{path}", algorithms.get(path, ""))) for path in batch]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {path: hashed for batch in pool.map(work, batches) for path, hashed in batch}


def _hash(path: str, algorithm: str) -> HashedFile:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        size = os.fstat(fd).st_size
        if size <= _SMALL:
            return _digest(os.read(fd, _SMALL), size, algorithm)
        # Mapped at once, which is cheaper than a page fault for every 64 KiB.
        with mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ) as data:
            return _digest(data, size, algorithm)
    finally:
        os.close(fd)


def _digest(data: bytes | mmap.mmap, size: int, algorithm: str) -> HashedFile:
    sha256 = hashlib.sha256(data).hexdigest()
    digest = sha256 if algorithm in {"", "sha256"} else hashlib.new(algorithm, data).hexdigest()
    return HashedFile(digest, sha256, size, data[: len(MAGIC)] == MAGIC)
