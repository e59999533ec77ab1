"""A file of more than one piece: read and hashed in order by one thread, its pieces written by whoever is free."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from efsprov.core.filelist import FileEntry
from efsprov.store.copying.plan import pieces
from efsprov.store.copying.progress import Tally
from efsprov.store.copying.source import Stream
from efsprov.store.copying.work_queue import WorkQueue
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.fileops import FileOps

_AHEAD: Final = 8 << 20  # after so many bytes the kernel is told to begin sending, instead of at close


class PiecewiseCopy:
    """The copy of one file from a stream to an open descriptor. ``repair`` compares what is there and writes what differs."""

    def __init__(
        self,
        entry: FileEntry,
        source: Stream,
        target: int,
        path: Path,
        *,
        repair: bool,
        ops: FileOps,
        queue: WorkQueue,
        tally: Tally,
    ) -> None:
        self._entry, self._source, self._target, self._path, self._repair = entry, source, target, path, repair
        self._ops, self._queue, self._tally = ops, queue, tally
        self._pending = 0
        self._lock = threading.Lock()

    def run(self) -> str | None:
        """Copy all, and return the SHA-256 of what was read, in hex ('' when it has another size); None when stopped.

        When this returns or raises, nobody uses the descriptors any more.
        """
        self._queue.away(1)
        try:
            with self._queue.turn(self._entry.size):
                return self._read_all()
        finally:
            self._queue.help_until(lambda: self._pending == 0)
            self._queue.away(-1)

    def _read_all(self) -> str | None:
        digest = hashlib.sha256()
        for offset, length in pieces(self._entry.size, self._queue.buffer_size):
            buffer = self._queue.buffer()
            if buffer is None:
                return None
            piece = _Piece(self, buffer, offset, length)
            try:
                if not _read_full(self._source, memoryview(buffer)[:length]):
                    return ""
                self._submit(piece)
                digest.update(memoryview(buffer)[:length])
            finally:
                piece.release()
        return "" if self._source.readinto(memoryview(bytearray(1))) else digest.hexdigest()

    def _submit(self, piece: "_Piece") -> None:
        with self._lock:
            self._pending += 1
        piece.hold()
        self._queue.put_piece(piece)

    def write(self, data: memoryview, offset: int) -> None:
        """Bring one piece into the target."""
        with translate_os_errors("Copying", self._path):
            if self._repair and os.pread(self._target, len(data), offset) == data:
                self._tally.spared(len(data))
                return
            size = len(data)
            while data:
                written = self._ops.pwrite(self._target, data, offset)
                data, offset = data[written:], offset + written
            self._tally.wrote(size)
            if offset % _AHEAD == 0:
                os.posix_fadvise(self._target, offset - _AHEAD, _AHEAD, os.POSIX_FADV_DONTNEED)

    def ended(self) -> None:
        """Count a piece that was handed in as ended."""
        with self._lock:
            self._pending -= 1
        self._queue.notify_pieces()

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer that nobody holds any more."""
        self._queue.give_back(buffer)


class _Piece:
    """A part of the file in a buffer, held by its reader (which hashes it) and, once it is handed in, by its writer."""

    def __init__(self, copy: PiecewiseCopy, buffer: bytearray, offset: int, length: int) -> None:
        self._copy, self._buffer, self._offset, self._length = copy, buffer, offset, length
        self._holders = 1
        self._lock = threading.Lock()

    def run(self) -> None:
        """Write it; see ``Piece``."""
        try:
            self._copy.write(memoryview(self._buffer)[: self._length], self._offset)
        finally:
            self.drop()

    def drop(self) -> None:
        """Count it as ended; see ``Piece``."""
        self.release()
        self._copy.ended()

    def hold(self) -> None:
        """Add a holder of the buffer."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Take a holder of the buffer away; the last one gives it back."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._copy.give_back(self._buffer)


def _read_full(source: Stream, view: memoryview) -> bool:
    while view:
        count = source.readinto(view)
        if count == 0:
            return False
        view = view[count:]
    return True
