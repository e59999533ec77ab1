"""Content by itself, whatever its file is called and however it is packed: what a loader would make of it.

`joblib.load`, `numpy.load`, `torch.load` and `pandas.read_pickle` look at the first bytes, not at the name, and unpack
what is packed. So does this: archives and compressed streams, in one another, to a depth and a size. What is text, plain
arrays or an image is data; whatever is not understood needs trust.
"""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Protocol

from efsprov.core.zip_members import is_folder
from efsprov.models.formats import numpy_arrays
from efsprov.models.formats.inspection import RiskKind
from efsprov.models.formats.pickles import is_pickle, runs
from efsprov.models.formats.texts import LARGEST, is_text, text_risks

_DEEPEST: Final = 6
_MOST_BYTES: Final = 1 << 28
_MOST_MEMBERS: Final = 10_000
_IN_MEMORY: Final = 1 << 22
_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 20
_PICKLE_SUFFIXES: Final = (".pkl", ".pickle", ".joblib", ".dill")
_IMAGES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_UNREADABLE: Final = {
    b"\x28\xb5\x2f\xfd": "is compressed with zstd",
    b"\x04\x22\x4d\x18": "is compressed with lz4",
    b"\x02!L\x18": "is compressed with lz4",
    b"ZF0x": "is a compressed file of an old joblib",
    b"\x4f\x62\x6a\x01": "is an Avro file",
    b"\xff\x06\x00\x00": "is compressed with snappy",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive",
    b"Rar!": "is a rar archive",
}
_NATIVE: Final = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm")

Found = tuple[RiskKind, str]
"""(kind of risk, why); ``why`` completes 'PATH ...'."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _TooMuchError(Exception):
    pass


@dataclass
class _Budget:
    bytes: int = _MOST_BYTES
    members: int = _MOST_MEMBERS

    def spend(self, count: int, members: int = 0) -> None:
        self.bytes -= count
        self.members -= members
        if self.bytes < 0 or self.members < 0:
            raise _TooMuchError


def content_risks(file: IO[bytes], name: str) -> list[Found]:
    """Return why the content of ``file`` (seekable, from its beginning) needs trust; nothing for what only holds data.

    ``name`` counts for what a loader goes by its name for: source code.
    """
    try:
        return list(dict.fromkeys(_judge(file, name, _Budget(), 0)))
    except _TooMuchError:
        return [("unknown", "unpacks to more than efsprov looks through")]


def _judge(file: IO[bytes], name: str, budget: _Budget, depth: int) -> Iterator[Found]:
    head = file.read(_HEAD)
    if not head:
        return
    if depth > _DEEPEST:
        yield "unknown", f"is packed more than {_DEEPEST} times over"
    elif is_pickle(head) or name.lower().endswith(_PICKLE_SUFFIXES):
        called = runs(head)
        yield "pickle", f"is a pickle: loading it {f'calls {called}' if called else 'runs whatever it says'}"
    elif head.startswith(numpy_arrays.SIGNATURE):
        if why := numpy_arrays.array_needs_trust(head):
            yield "pickle", why
    elif unpacked := _unpacked(file, head, name, budget, depth):
        yield from unpacked
    elif is_text(head, cut=len(head) == _HEAD):
        file.seek(len(head))
        yield from _judge_text(file, head, name, budget)
    elif not head.startswith(_IMAGES):
        yield _judge_binary(head)


def _unpacked(file: IO[bytes], head: bytes, name: str, budget: _Budget, depth: int) -> Iterator[Found] | None:
    """Judge what an archive or a compressed stream holds; None where it is neither."""
    if opened := _decompressed(head, file):
        return _unpack_stream(*opened, name, budget, depth)
    if _is_tar(head):
        return _judge_tar(file, budget, depth)
    return _judge_zip(file, budget, depth) if zipfile.is_zipfile(file) else None


def _judge_binary(head: bytes) -> Found:
    if called := runs(head):
        return "pickle", f"is a pickle without a signature: loading it calls {called}"
    if head.startswith(_NATIVE):
        return "code", "is a native library or program, which a loader of the model may load"
    if why := next((why for signature, why in _UNREADABLE.items() if head.startswith(signature)), ""):
        return "unknown", f"{why}, which efsprov does not look into"
    return "unknown", "is of no format that efsprov knows: what loads it may run what it holds"


def _judge_text(file: IO[bytes], head: bytes, name: str, budget: _Budget) -> Iterator[Found]:
    rest = file.read(max(0, min(LARGEST, budget.bytes) - len(head)) + 1) if len(head) == _HEAD else b""
    budget.spend(len(rest) if len(head) == _HEAD else 0)
    content = head + rest
    if not is_text(content):
        yield "unknown", "begins as text and goes on as something else"
    else:
        yield from text_risks(content, name)


def _decompressed(head: bytes, file: IO[bytes]) -> tuple[_Readable, str] | None:
    """Return a reader of what a compressed stream holds, and how it is compressed; None for another kind of content."""
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb"), "gzip"
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file), "bzip2"
    if head.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return lzma.LZMAFile(file), "xz"
    if head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0 and _inflates(head):
        return _Inflated(file), "zlib"
    return None


def _unpack_stream(reader: _Readable, how: str, name: str, budget: _Budget, depth: int) -> Iterator[Found]:
    with SpooledTemporaryFile(_IN_MEMORY) as inner:
        try:
            _copy(reader, inner, budget)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            # What came before the damage may be loaded all the same: a reader is asked for no more than it needs.
            yield "unknown", f"is compressed with {how}, and cannot be unpacked whole ({error})"
        inner.seek(0)
        yield from _judge(inner, _without_suffix(name), budget, depth + 1)


def _judge_tar(file: IO[bytes], budget: _Budget, depth: int) -> Iterator[Found]:
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                budget.spend(0, members=1)
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is not None:
                    yield from _judge_member(stream.read, member.name, budget, depth)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        yield "unknown", f"is a tar archive that cannot be read whole ({error})"


def _judge_zip(file: IO[bytes], budget: _Budget, depth: int) -> Iterator[Found]:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                budget.spend(0, members=1)
                if not is_folder(member):
                    with archive.open(member) as stream:
                        yield from _judge_member(stream.read, member.filename, budget, depth)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error) as error:
        yield "unknown", f"is a zip archive that cannot be read whole ({error})"


def _judge_member(read: Callable[[int], bytes], name: str, budget: _Budget, depth: int) -> Iterator[Found]:
    with SpooledTemporaryFile(_IN_MEMORY) as inner:
        head = read(_HEAD)
        budget.spend(len(head))
        inner.write(head)
        while _goes_on(head) and (chunk := read(_CHUNK)):
            budget.spend(len(chunk))
            inner.write(chunk)
        inner.seek(0)
        for kind, why in _judge(inner, name, budget, depth + 1):
            yield kind, f"holds {name!r}, which {why}"


def _goes_on(head: bytes) -> bool:
    """Tell whether more than its beginning has to be looked at: weights are gigabytes, and say in a header what they are."""
    packed = head.startswith((b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x5d\0\0", b"\x78")) or _is_tar(head)
    return packed or is_text(head, cut=len(head) == _HEAD)


def _copy(reader: _Readable, into: IO[bytes], budget: _Budget) -> None:
    while chunk := reader.read(_CHUNK):
        budget.spend(len(chunk))
        into.write(chunk)


def _is_tar(head: bytes) -> bool:
    """Tell by the checksum of its first header whether this is a tar archive, of whatever age."""
    try:
        return len(head) >= tarfile.BLOCKSIZE and bool(
            tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "replace").name
        )
    except tarfile.TarError:
        return False


def _inflates(head: bytes) -> bool:
    try:
        return bool(zlib.decompressobj().decompress(head, 1))
    except zlib.error:
        return False


class _Inflated:
    """Reads a bare zlib stream, as joblib writes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._inflater = file, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; b"" at the end. Raises ``EOFError`` where the stream is cut off."""
        while not self._inflater.eof:
            given = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not given:
                raise EOFError("it is cut off")
            if found := self._inflater.decompress(given, size):
                return found
        return b""


def _without_suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix.lower() in {"gz", "bz2", "xz", "lzma", "z", "zlib"} else name
