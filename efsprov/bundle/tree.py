"""The files of a bundle as the source of a copy: what is missing is asked for in ranges, many at once."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final, Self

from efsprov.bundle.blobs import Bundle
from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.copying.folder import CopyFolder
from efsprov.store.copying.source import Stream

SEGMENT: Final = 1 << 20
"""Bytes of one request for small files: neighbours in a layer come together, since a folder is copied at a time."""
_KEPT_SEGMENTS: Final = 24
_PIECE: Final = 2 << 20  # bytes of one request for a large file
_AHEAD: Final = 2  # pieces of a large file that are under way before they are read
_THREADS: Final = 12


class BundleTree:
    """See ``TreeSource``. ``places`` say in which layer, and where in it, a file lies. To be closed."""

    def __init__(self, bundle: Bundle, places: Mapping[str, tuple[int, int]]) -> None:
        self._bundle, self._places = bundle, places
        self._segments: OrderedDict[tuple[int, int], Future[bytes]] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="bundle")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def path(self) -> Path:
        """See ``TreeSource``."""
        return Path(self._bundle.name)

    def content(self, folder: CopyFolder, entry: FileEntry) -> bytes:
        """See ``TreeSource``."""
        del folder
        layer, offset = self._places[entry.path]
        found = bytearray()
        while len(found) < entry.size:
            at = offset + len(found)
            segment = self._segment(layer, at // SEGMENT)
            piece = segment[at % SEGMENT : at % SEGMENT + entry.size - len(found)]
            if not piece:
                raise self.mismatch(entry)
            found += piece
        return bytes(found)

    def stream(self, folder: CopyFolder, entry: FileEntry) -> Stream:
        """See ``TreeSource``."""
        del folder
        return _Ahead(self, entry)

    def mismatch(self, entry: FileEntry) -> IntegrityError:
        """See ``TreeSource``."""
        digest = self._bundle.manifest.layers[self._places[entry.path][0]].digest
        return IntegrityError(
            f"{entry.path} of {self._bundle.name} is not what the release's file list says: {digest} is damaged.",
            hint="Nothing was published. `efsprov bundle verify` names all that is wrong; push the release again where it is whole.",
        )

    def piece(self, entry: FileEntry, at: int) -> "Future[bytes]":
        """Ask for the piece of a file that begins at ``at``."""
        layer, offset = self._places[entry.path]
        size = min(_PIECE, entry.size - at)
        return self._pool.submit(self._bundle.place.read, self._bundle.manifest.layers[layer].digest, offset + at, size)

    def _segment(self, layer: int, number: int) -> bytes:
        """Return a segment of a layer, asked for once by all that want it at the same time."""
        descriptor = self._bundle.manifest.layers[layer]
        with self._lock:
            found = self._segments.get((layer, number))
            if found is None:
                size = min(SEGMENT, descriptor.size - number * SEGMENT)
                found = self._pool.submit(self._bundle.place.read, descriptor.digest, number * SEGMENT, max(size, 0))
                self._segments[layer, number] = found
                while len(self._segments) > _KEPT_SEGMENTS:
                    self._segments.popitem(last=False)
            else:
                self._segments.move_to_end((layer, number))
        return found.result()


class _Ahead:
    """A large file in order, its next pieces under way."""

    def __init__(self, tree: BundleTree, entry: FileEntry) -> None:
        self._tree, self._entry = tree, entry
        self._asked = 0
        self._pieces: deque[Future[bytes]] = deque()
        self._now = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        if not self._now:
            self._ask()
            if not self._pieces:
                return 0
            self._now = memoryview(self._pieces.popleft().result())
            self._ask()
        count = min(len(view), len(self._now))
        view[:count] = self._now[:count]
        self._now = self._now[count:]
        return count

    def close(self) -> None:
        while self._pieces:
            self._pieces.popleft().cancel()

    def _ask(self) -> None:
        while len(self._pieces) < _AHEAD and self._asked < self._entry.size:
            self._pieces.append(self._tree.piece(self._entry, self._asked))
            self._asked += _PIECE
