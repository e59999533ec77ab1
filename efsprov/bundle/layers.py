"""How a release's files are cut into layers, and the bytes of each layer: decided by the file list alone.

A layer is an uncompressed tar archive. Then its bytes follow from its files on every machine (what DEFLATE makes of them
depends on the library), and each file lies at an offset that is known before a byte is read: whoever places the release
asks for the files that are missing, and for nothing else.

Files are cut by package, so that two releases share the layers of what did not change: a top-level name of the site that
is large is a layer of its own; small ones share layers, whose bounds hang on the names and not on their number.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import NAME as LIST_NAME
from efsprov.core.filelist import FileEntry

TOP: Final = "release"
"""The folder in which every file of a layer lies."""
PLACES_NAME: Final = "files.places"
"""In the first layer: where each file of the list lies, one line `LAYER OFFSET` a file, in the list's order."""
MOST_LAYERS: Final = 120
"""Runtimes take 127 layers (https://docs.docker.com/engine/storage/drivers/overlayfs-driver/): some are left to an image."""
_BLOCK: Final = 512
_END: Final = 2 * _BLOCK
_LARGE: Final = 4 << 20
_LARGE_OWN: Final = 1 << 20  # of the release's own files: packs of bytecode, most of which the next release has, too
_MOST_OWN: Final = 50
_NAMES_A_LAYER: Final = 8


@dataclass(frozen=True)
class Part:
    """A run of a layer's bytes: ``data`` as it is, or the content of a file."""

    data: bytes = b""
    file: FileEntry | None = None

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.file.size if self.file is not None else len(self.data)


@dataclass(frozen=True)
class Layer:
    """The files of one layer by path. ``given`` are the contents of files that are in no folder: the list itself."""

    files: tuple[FileEntry, ...]
    given: tuple[tuple[str, bytes], ...] = ()

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The layer's bytes in order."""
        parts: list[Part] = []
        paths = [path for path, _ in self.given] + [entry.path for entry in self.files]
        folders = {parent for path in paths for parent in PurePosixPath(TOP, path).parents} - {PurePosixPath(".")}
        parts.extend(Part(_header(str(folder), 0o755, 0, tarfile.DIRTYPE)) for folder in sorted(folders))
        for path, content in self.given:
            parts += [Part(_header(f"{TOP}/{path}", 0o644, len(content))), Part(content), _padding(len(content))]
        for entry in self.files:
            parts += [Part(_header(f"{TOP}/{entry.path}", entry.mode, entry.size)), Part(file=entry)]
            parts.append(_padding(entry.size))
        parts.append(Part(b"\0" * _END))
        return tuple(parts)

    @cached_property
    def size(self) -> int:
        """Bytes of the archive."""
        return sum(part.size for part in self.parts)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where each file's content begins, by its path."""
        found, at = {}, 0
        for part in self.parts:
            if part.file is not None:
                found[part.file.path] = at
            at += part.size
        return found


def cut(files: Sequence[FileEntry], listed: str, *, payload: str) -> tuple[Layer, ...]:
    """Cut a release's files into layers; the first holds the file list, whose text is ``listed``, and the places.

    ``payload`` is the folder of the release whose top-level names are packages.
    """
    own = sorted(entry for entry in files if not entry.path.startswith(f"{payload}/"))
    inside = [entry for entry in files if entry.path.startswith(f"{payload}/")]
    large = _LARGE_OWN
    while sum(entry.size >= large for entry in own) > _MOST_OWN:
        large *= 2
    groups = [[entry] for entry in own if entry.size >= large]
    groups += _by_package(inside, payload, most=MOST_LAYERS - 1 - len(groups))
    small = tuple(entry for entry in own if entry.size < large)
    rest = [Layer(tuple(group)) for group in groups]
    # The places of the first layer's own files hang on the length of the text that tells them: it is padded to a length
    # that does not.
    first = Layer(small, _given(listed, " " * _width(files)))
    text = _places(files, (first, *rest)).ljust(_width(files))
    return (Layer(small, _given(listed, text)), *rest)


def read_places(text: str, files: Sequence[FileEntry], sizes: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Return (layer, offset) by path from the places' text; ``sizes`` are those of the layers.

    Raises ``IntegrityError`` for what is not of the form, and for a place outside its layer.
    """
    lines = text.split()
    if len(lines) != 2 * len(files) or not all(word.isascii() and word.isdigit() for word in lines):
        raise IntegrityError(
            "The bundle does not say where its files lie.",
            hint="It is damaged, or nothing of efsprov's: push it again.",
        )
    found = {}
    for entry, layer, offset in zip(files, map(int, lines[::2]), map(int, lines[1::2]), strict=True):
        if layer >= len(sizes) or offset + entry.size > sizes[layer]:
            raise IntegrityError(
                f"The bundle says that {entry.path} lies outside its layers.", hint="It is damaged: push it again."
            )
        found[entry.path] = layer, offset
    return found


def _given(listed: str, places: str) -> tuple[tuple[str, bytes], ...]:
    return ((LIST_NAME, listed.encode("utf-8", "surrogateescape")), (PLACES_NAME, places.encode()))


def _width(files: Sequence[FileEntry]) -> int:
    digits = len(str(sum(entry.size + 4 * _BLOCK for entry in files) + (1 << 30)))
    return len(files) * (digits + len(str(MOST_LAYERS)) + 2)


def _places(files: Iterable[FileEntry], layers: Sequence[Layer]) -> str:
    where = {path: (number, at) for number, layer in enumerate(layers) for path, at in layer.offsets.items()}
    return "".join(f"{where[entry.path][0]} {where[entry.path][1]}\n" for entry in sorted(files))


def _by_package(files: Iterable[FileEntry], payload: str, *, most: int) -> list[list[FileEntry]]:
    packages: dict[str, list[FileEntry]] = {}
    for entry in sorted(files):
        name = entry.path.removeprefix(f"{payload}/").partition("/")[0]
        packages.setdefault(name, []).append(entry)
    large, names = _LARGE, _NAMES_A_LAYER
    while len(groups := list(_grouped(packages, large, names))) > most:
        large, names = large * 2, names * 2
    return groups


def _grouped(packages: dict[str, list[FileEntry]], large: int, names: int) -> Iterator[list[FileEntry]]:
    shared: list[FileEntry] = []
    for name in sorted(packages):
        entries = packages[name]
        if sum(entry.size for entry in entries) >= large:
            yield entries
            continue
        shared += entries
        if int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:4], "big") % names == 0:
            yield shared
            shared = []
    if shared:
        yield shared


def _header(name: str, mode: int, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name + ("/" if kind == tarfile.DIRTYPE else ""))
    info.mode, info.size, info.type = mode, size, kind
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> Part:
    return Part(b"\0" * (-size % _BLOCK))
