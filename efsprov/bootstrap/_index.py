"""The import index of a release, ``import.index`` and ``import.pack``: what they hold and whether they can be used here.

The format is described in docs/reference/import-index.md. The builder writes both with the target's interpreter and
this module's constants; here they are read. Nothing is parsed before it is asked for, except the table of folders.
"""

import _imp
import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Optional

INDEX_NAME = "import.index"
PACK_NAME = "import.pack"

MAGIC = b"\x89EFSPIX\n"  # the first byte is no text, the last one suffers when line ends are converted
VERSION = 1
# Fields of the header: (offset, size). Integers are little-endian and unsigned.
AT_VERSION, AT_BYTECODE, AT_BODY, AT_PACK, AT_FIGURES, AT_CHECKSUM = (
    (8, 4),
    (12, 4),
    (16, 8),
    (24, 8),
    (32, 80),
    (112, 8),
)
HEADER_SIZE = 120
# What the builder tells people about an import, eight bytes each; nothing is decided by it here.
FIGURES = (
    "modules",
    "packed",
    "hot_modules",
    "hot_bytes",
    "library_bytes",
    "planned_reads",
    "planned_bytes",
    "peak_bytes",
    "microseconds",
    "cpu_microseconds",
)

# What an entry of a folder's table is. Entries are (kind, path from the folder) and, for PACKED ones, where their code
# object lies in the pack: offset, size, checksum. UNKNOWN ones are for the standard finder to find.
PACKED, SOURCE, EXTENSION, BYTECODE, NAMESPACE, UNKNOWN = range(6)


class UnusableError(Exception):
    """The index cannot be used by this interpreter, or at all; the message is a reason in plain words."""


def checksum(data: "bytes | memoryview") -> bytes:
    """Eight bytes that tell damage from DATA: the keyed hash of PEP 552, of which every interpreter has a fast one."""
    return _imp.source_hash(0x45465350, data)


def header(body: bytes, pack_size: int, figures: "Mapping[str, int]") -> bytes:
    """The bytes in front of BODY in an index file; FIGURES has each name of `FIGURES`."""
    fields = (
        VERSION.to_bytes(4, "little"),
        MAGIC_NUMBER,
        len(body).to_bytes(8, "little"),
        pack_size.to_bytes(8, "little"),
        *(figures[name].to_bytes(8, "little") for name in FIGURES),
    )
    start = MAGIC + b"".join(fields)
    return start + checksum(start + body)


class Index:
    """An index that has been checked against this interpreter and its own checksum.

    ``site`` is the folder that it describes, ``pack`` an open file descriptor of the pack. What an import will need:
    ``files``, ``steps``, ``positions`` and ``spans`` are explained at `ReadAhead`, ``lines`` and ``linked`` at `Caches`.
    """

    def __init__(self, release: str) -> None:
        reason = _why_not_here()
        if reason:
            raise UnusableError(reason)
        self.site = release + "/site"
        body, pack_size = _body(release)
        try:
            suffixes, self._folders, self._distributions, plan = _parse(body)
            self.files, self.steps, self.positions, self.spans, self.lines, self.linked = _parse(plan)
        except (ValueError, EOFError, TypeError) as error:
            raise UnusableError(f"{INDEX_NAME} is malformed ({error})") from None
        if suffixes != _imp.extension_suffixes():
            raise UnusableError(f"extension modules are called {suffixes[0]} there")
        self.pack = _open_pack(release, pack_size)

    def folder(self, path: str) -> "Optional[dict[str, tuple[Any, ...]]]":
        """{name of a module: its entry} of the folder at PATH; None where the index has no such folder."""
        if path != self.site and not path.startswith(self.site + "/"):
            return None
        table = self._folders.get(path[len(self.site) + 1 :])
        return None if table is None else _parse(table)

    def distributions(self) -> "dict[str, tuple[Any, ...]]":
        """{name of a .dist-info folder: (names in it, {name of a file: where its text lies in the pack})}."""
        told: "dict[str, tuple[Any, ...]]" = _parse(self._distributions)
        return told

    def read(self, offset: int, size: int, digest: bytes) -> "Optional[bytes]":
        """SIZE bytes at OFFSET of the pack; None where they are not what the builder wrote."""
        try:
            data = os.pread(self.pack, size, offset)
        except OSError:
            return None
        return data if len(data) == size and checksum(data) == digest else None


def _parse(data: bytes) -> "Any":
    """What DATA, of which the checksum has been compared, says."""
    return marshal.loads(data)  # noqa: S302


def _why_not_here() -> str:
    """Why this interpreter would not load the bytecode that was packed; ``""`` where it would."""
    if sys.flags.optimize:
        return "-O asks for other bytecode"
    if _imp.check_hash_based_pycs == "always":
        return "--check-hash-based-pycs asks for every source to be read"
    return ""


def _body(release: str) -> "tuple[bytes, int]":
    """(body of the index, size of its pack), read in one piece and checked."""
    try:
        opened = os.open(f"{release}/{INDEX_NAME}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableError(f"no {INDEX_NAME} ({error.strerror})") from None
    try:
        size = os.fstat(opened).st_size
        data = os.read(opened, size)
    except OSError as error:
        raise UnusableError(f"{INDEX_NAME} cannot be read ({error.strerror})") from None
    finally:
        os.close(opened)

    def field(at: "tuple[int, int]") -> bytes:
        return data[at[0] : sum(at)]

    def number(at: "tuple[int, int]") -> int:
        return int.from_bytes(field(at), "little")

    if data[: len(MAGIC)] != MAGIC:
        raise UnusableError(f"{INDEX_NAME} is not an index")
    if number(AT_VERSION) != VERSION:
        raise UnusableError(f"{INDEX_NAME} has format {number(AT_VERSION)}, this shim knows {VERSION}")
    if field(AT_BYTECODE) != MAGIC_NUMBER:
        raise UnusableError(f"{INDEX_NAME} is for another interpreter than {sys.implementation.cache_tag}")
    body = data[HEADER_SIZE:]
    if len(body) != number(AT_BODY) or len(data) != size:
        raise UnusableError(f"{INDEX_NAME} has {len(body)} bytes of {number(AT_BODY)}")
    if checksum(data[: AT_CHECKSUM[0]] + body) != field(AT_CHECKSUM):
        raise UnusableError(f"{INDEX_NAME} is damaged: its checksum does not match")
    return body, number(AT_PACK)


def _open_pack(release: str, expected: int) -> int:
    try:
        pack = os.open(f"{release}/{PACK_NAME}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableError(f"no {PACK_NAME} ({error.strerror})") from None
    size = os.fstat(pack).st_size
    if size != expected:
        os.close(pack)
        raise UnusableError(f"{PACK_NAME} has {size} bytes of {expected}")
    # Only what is asked for is read: what is worth reading ahead is known, the kernel need not guess.
    os.posix_fadvise(pack, 0, 0, os.POSIX_FADV_RANDOM)
    return pack
