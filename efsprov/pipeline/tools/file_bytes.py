"""Files as bytes at offsets, read and never mapped: only what is looked at is read.

A file that shrinks under a map kills whoever touches the lost pages (SIGBUS), whatever is caught; and what an installer, a
user or another NFS client may still write to can shrink at any time.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, overload

_BLOCK: Final = 64 << 10
_BLOCKS: Final = 64  # that are kept: 4 MiB


class ChangedError(OSError):
    """The file was cut while it was read."""


class FileBytes:
    """The bytes of an open file, as many as it had when this was made; indexes and slices as those of ``bytes`` are.

    Raises ``ChangedError`` where the file has become shorter.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = os.fstat(fd).st_size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            at = key + self._size if key < 0 else key
            if not 0 <= at < self._size:
                raise IndexError(f"there is no byte {key} in {self._size}")
            return self._block(at // _BLOCK)[at % _BLOCK]
        start, stop, step = key.indices(self._size)
        if step != 1:
            raise ValueError("slices have no step here")
        return self.read(start, stop - start)

    def read(self, at: int, length: int) -> bytes:
        """Return ``length`` bytes from offset ``at``, fewer where the file ends before."""
        length = max(0, min(length, self._size - at))
        if at < 0 or length == 0:
            return b""
        first, last = at // _BLOCK, (at + length - 1) // _BLOCK
        if last - first < _BLOCKS // 2:
            joined = b"".join(self._block(number) for number in range(first, last + 1))
            return joined[at - first * _BLOCK : at - first * _BLOCK + length]
        return self._pread(at, length)

    def find(self, wanted: bytes, start: int) -> int:
        """Return the offset of the first ``wanted`` at or behind ``start``, -1 where there is none."""
        at = start
        while 0 <= at < self._size:
            found = self.read(at, _BLOCK + len(wanted) - 1).find(wanted)
            if found >= 0:
                return at + found
            at += _BLOCK
        return -1

    def rfind(self, wanted: bytes, start: int) -> int:
        """Return the offset of the last ``wanted`` at or behind ``start``, -1 where there is none."""
        tail = self.read(start, self._size - start)
        found = tail.rfind(wanted)
        return start + found if found >= 0 else -1

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            block = self._pread(number * _BLOCK, min(_BLOCK, self._size - number * _BLOCK))
            self._blocks[number] = block
            if len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        return block

    def _pread(self, at: int, length: int) -> bytes:
        parts = []
        while length:
            part = os.pread(self._fd, length, at)
            if not part:
                raise ChangedError(errno.ESTALE, "the file became shorter while it was read")
            parts.append(part)
            at, length = at + len(part), length - len(part)
        return b"".join(parts)


@contextmanager
def file_bytes(path: Path) -> Iterator[FileBytes]:
    """Yield the bytes of the file at ``path``; raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield FileBytes(fd)
    finally:
        os.close(fd)
