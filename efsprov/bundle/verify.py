"""Holds a bundle against itself: every blob against its digest, and against the bytes that its file list asks for.

A pull believes the file list alone. Tools that unpack the layers do not know it: so the archives' headers are looked at here.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from efsprov.bundle.blobs import chunks_of
from efsprov.bundle.layers import Layer, Part, cut
from efsprov.bundle.pull import Contents
from efsprov.core.errors import EfsprovError
from efsprov.core.manifest import Manifest


@dataclass(frozen=True)
class Problem:
    """A blob, or a file of it, that is not what it should be; ``what`` completes 'WHERE ...'."""

    where: str
    what: str


def verify(contents: Contents[Manifest], payload: str, progress: Callable[[int, int], None]) -> tuple[Problem, ...]:
    """Read every layer of a bundle and return what is wrong; ``progress`` gets (bytes done, bytes in all)."""
    bundle, done = contents.bundle, 0
    wanted = cut(contents.files, contents.listed, payload=payload)
    problems = []
    if [layer.size for layer in wanted] != [layer.size for layer in bundle.manifest.layers]:
        problems.append(
            Problem(
                bundle.descriptor.digest, "has other layers than its file list asks for: they may hold more than it"
            )
        )
        wanted = ()
    for number, layer in enumerate(bundle.manifest.layers):
        hashed, compared = hashlib.sha256(), _Compared(wanted[number]) if wanted else None
        try:
            for chunk in chunks_of(bundle.place, layer.digest, layer.size):
                hashed.update(chunk)
                if compared:
                    compared.feed(chunk)
                done += len(chunk)
                progress(done, bundle.size)
        except EfsprovError as error:
            problems.append(Problem(layer.digest, f"cannot be read: {error.message}"))
            continue
        if f"sha256:{hashed.hexdigest()}" != layer.digest:
            problems.append(Problem(layer.digest, "has other bytes than its digest says"))
        if compared:
            problems += [
                Problem(what, f"in {layer.digest} is not what the file list says") for what in compared.ended()
            ]
    return tuple(problems)


class _Compared:
    """A layer's bytes as they go by, held against those that it should have."""

    def __init__(self, layer: Layer) -> None:
        self._parts: Iterator[Part] = iter(layer.parts)
        self._part = next(self._parts)
        self._at = 0
        self._hashed = hashlib.sha256()
        self._wrong: list[str] = []
        self._headers = True

    def feed(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            if self._at == self._part.size and not self._next():
                return
            taken = view[: self._part.size - self._at]
            if self._part.file is not None:
                self._hashed.update(taken)
            elif taken != self._part.data[self._at : self._at + len(taken)]:
                self._headers = False
            self._at += len(taken)
            view = view[len(taken) :]

    def ended(self) -> list[str]:
        while self._at == self._part.size and self._next():
            pass
        return self._wrong + ([] if self._headers else ["a header"])

    def _next(self) -> bool:
        entry = self._part.file
        if entry is not None and self._hashed.hexdigest() != entry.sha256:
            self._wrong.append(entry.path)
        found = next(self._parts, None)
        if found is None:
            return False
        self._part, self._at, self._hashed = found, 0, hashlib.sha256()
        return True
