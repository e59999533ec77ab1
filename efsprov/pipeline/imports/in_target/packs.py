"""Writes packs: files that hold many modules' bytecode one after the other, cut where another build would cut them, too.

Loaded by `index.py` in the target's interpreter (3.9 or newer), so it imports nothing of efsprov.

A release that shares most modules with the one before is to share most packs: those are linked and not written again. So
a pack is named by what is in it, and whether it ends before a module depends on that module's name (content-defined
chunking: Muthitacharoen, Chen, Mazières, "A Low-bandwidth Network File System", SOSP 2001).
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import BinaryIO

    Where = tuple[int, int, int, bytes]

LEAST, MOST = 3 << 20, 12 << 20  # bytes of a pack; more where a single piece has more
ONE_IN = 32  # names before which a pack that is large enough ends
HASHED_AT_ONCE = 4 << 20


class Packs:
    """The packs in FOLDER as they are written, each begun with HEAD; a thread beside hashes them.

    CHECKSUM is what a piece is read back by.
    """

    def __init__(self, folder: str, head: bytes, checksum: "Callable[[bytes | memoryview], bytes]") -> None:
        self._folder = folder
        self._head = head
        self._checksum = checksum
        self._file: "BinaryIO | None" = None
        self._hashing = ThreadPoolExecutor(1)
        self._hashes: "list[hashlib._Hash]" = []
        self._hashed: "list[Future[None]]" = []
        self._unhashed: "list[bytes | memoryview]" = []
        self._waiting = 0
        self.sizes: "list[int]" = []

    def begin(self, name: str) -> None:
        """What is added next belongs to NAME: begin another pack if this one is due to end before it."""
        if self._file:
            size = self.sizes[-1]
            if size >= MOST or (size >= LEAST and _ends_before(name)):
                self.cut()

    def add(self, data: "bytes | memoryview") -> "Where":
        """Append DATA; returns where it lies: (number of the pack, offset, size, checksum)."""
        if not self._file:
            if not os.path.isdir(self._folder):  # noqa: PTH112
                os.mkdir(self._folder)  # noqa: PTH102
            self._file = open(self._part(len(self.sizes)), "wb")  # noqa: PTH123, SIM115 - closed by `cut`
            self.sizes.append(0)
            self._hashes.append(hashlib.sha256())
            self._append(self._head)
        where = (len(self.sizes) - 1, self.sizes[-1], len(data), self._checksum(data))
        self._append(data)
        return where

    def cut(self) -> None:
        """End the pack: what is added next begins another."""
        if self._file:
            self._hash()
            self._file.close()
            self._file = None

    def close(self) -> "list[str]":
        """End all packs and name each `name_of` its SHA-256; returns these in hex, in the order of the packs' numbers."""
        self.cut()
        self._hashing.shutdown()
        for done in self._hashed:
            done.result()
        digests = [each.hexdigest() for each in self._hashes]
        for number, digest in enumerate(digests):
            os.rename(self._part(number), os.path.join(self._folder, name_of(digest)))  # noqa: PTH104, PTH118
        return digests

    def _append(self, data: "bytes | memoryview") -> None:
        if self._file:
            self._file.write(data)
        self.sizes[-1] += len(data)
        self._unhashed.append(data)
        self._waiting += len(data)
        if self._waiting > HASHED_AT_ONCE:
            self._hash()

    def _hash(self) -> None:
        pieces, self._unhashed, self._waiting = self._unhashed, [], 0
        self._hashed.append(self._hashing.submit(_update, self._hashes[-1], pieces))

    def _part(self, number: int) -> str:
        return os.path.join(self._folder, f"{number}.part")  # noqa: PTH118


def name_of(sha256: str) -> str:
    """The name of the pack with this SHA-256."""
    return sha256[:16]


def _update(digest: "hashlib._Hash", pieces: "list[bytes | memoryview]") -> None:
    for data in pieces:
        digest.update(data)


def _ends_before(name: str) -> bool:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return digest[0] % ONE_IN == 0
