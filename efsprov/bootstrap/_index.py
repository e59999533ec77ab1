"""The import index of a release, ``import.index`` and ``import.packs``: what they hold and whether they can be used here.

The format is described in docs/reference/import-index.md. The builder writes them with the target's interpreter and
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
PACKS_NAME = "import.packs"

MAGIC = b"\x89EFSPIX\n"  # the first byte is not text, the last one suffers when line ends are converted
VERSION = 3
READABLE = (2, 3)  # of version 2: those that are bound to no release
# Fields of the header: (offset, size). Integers are little-endian and unsigned.
AT_VERSION, AT_BYTECODE, AT_BODY, AT_PACKS, AT_FIGURES, AT_CHECKSUM = (
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
# object lies: number of the pack, offset, size, checksum. UNKNOWN ones are for the standard finder to find.
PACKED, SOURCE, EXTENSION, BYTECODE, NAMESPACE, UNKNOWN = range(6)


class UnusableError(Exception):
    """The index cannot be used by this interpreter, or at all; the message is a reason in plain words."""


def checksum(data: "bytes | memoryview") -> bytes:
    """Eight bytes that tell damage from DATA: the keyed hash of PEP 552, of which every interpreter has a fast one."""
    return _imp.source_hash(0x45465350, data)


def header(body: bytes, packs_size: int, figures: "Mapping[str, int]") -> bytes:
    """The bytes in front of BODY in an index file; FIGURES has each name of `FIGURES`."""
    fields = (
        VERSION.to_bytes(4, "little"),
        MAGIC_NUMBER,
        len(body).to_bytes(8, "little"),
        packs_size.to_bytes(8, "little"),
        *(figures[name].to_bytes(8, "little") for name in FIGURES),
    )
    start = MAGIC + b"".join(fields)
    return start + checksum(start + body)


class Index:
    """An index that has been checked against this interpreter and its own checksum.

    ``site`` is the folder that it describes, ``packs`` how many packs there are. What an import will need: ``files``, ``steps``, ``positions`` and ``spans`` are explained at `ReadAhead`, ``lines`` and ``linked`` at `Caches`.
    """

    def __init__(self, release: str) -> None:
        reason = _why_not_here()
        if reason:
            raise UnusableError(reason)
        self._release = release
        self.site = release + "/site"
        body = _body(release)
        self._opened: "dict[int, int]" = {}
        self._unknown: "dict[int, str]" = {}
        try:
            suffixes, self._packs, self._folders, self._distributions, plan, *bound = _parse(body)
            self.files, self.steps, self.positions, self.spans, self.lines, self.linked = _parse(plan)
        except (ValueError, EOFError, TypeError) as error:
            raise UnusableError(f"{INDEX_NAME} is malformed ({error})") from None
        if suffixes != _imp.extension_suffixes():
            raise UnusableError(f"extension modules are called {suffixes[0]} there")
        if bound and _is_another(release, bound[0]):
            raise UnusableError(f"{INDEX_NAME} is that of another release ({bound[0]})")
        self.packs = len(self._packs)

    def folder(self, path: str) -> "Optional[dict[str, tuple[Any, ...]]]":
        """{name of a module: its entry} of the folder at PATH; None where the index has no such folder."""
        if path != self.site and not path.startswith(self.site + "/"):
            return None
        table = self._folders.get(path[len(self.site) + 1 :])
        return None if table is None else _parse(table)

    def distributions(self) -> "dict[str, tuple[Any, ...]]":
        """{name of a .dist-info folder: (names in it, {name of a file: where its text lies in a pack})}."""
        result: "dict[str, tuple[Any, ...]]" = _parse(self._distributions)
        return result

    def read(self, pack: int, offset: int, size: int, digest: bytes) -> "Optional[bytes]":
        """SIZE bytes at OFFSET of a pack; None where they are not what the builder wrote.

        Of a pack that cannot be used one line in the log tells.
        """
        opened = self.open(pack)
        if opened is None:
            reason = self._unknown.pop(pack, "")
            if reason:
                name = self._packs[pack][0]
                tell(f"{self._release}/{name} cannot be used: {reason}; what it holds is imported without it")
            return None
        try:
            data = os.pread(opened, size, offset)
        except (OSError, MemoryError):
            return None
        return data if len(data) == size and checksum(data) == digest else None

    def open(self, pack: int) -> "Optional[int]":
        """A descriptor of a pack, which stays open; None where it cannot be used."""
        opened = self._opened.get(pack)
        if opened is None:
            opened = self._open(pack)
            kept = self._opened.setdefault(pack, opened)
            if kept != opened and opened >= 0:  # two threads at once
                os.close(opened)
            opened = kept
        return opened if opened >= 0 else None

    def _open(self, pack: int) -> int:
        """A descriptor; -1, and a reason to tell, where the file is not the one that the index describes."""
        name, expected = self._packs[pack]
        opened = -1
        try:
            opened = open_file(f"{self._release}/{name}")
            size = os.fstat(opened).st_size
            reason = "" if size == expected else f"it has {size} bytes of {expected}"
        except OSError as error:
            reason = str(error.strerror)
        if reason:
            self._unknown[pack] = reason
            if opened >= 0:
                os.close(opened)
            return -1
        return opened


def open_file(path: str) -> int:
    """A descriptor of the regular file at PATH, which never waits: a pipe in its place would have it wait for a writer.

    What is asked for is all that is read: what is worth reading ahead is known, the kernel need not guess. Raises OSError.
    """
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    kind = os.fstat(opened).st_mode & 0o170000
    if kind != 0o100000:  # as stat.S_ISREG
        os.close(opened)
        raise OSError(0, "Is a directory" if kind == 0o040000 else "it is not a regular file")
    os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_RANDOM)
    return opened


def tell(line: str) -> None:
    """One line for the log, if there is one: an import is not to fail for want of it."""
    try:
        if sys.stderr is not None:
            print(f"efsprov: {line}", file=sys.stderr, flush=True)  # noqa: T201
    except Exception:  # noqa: BLE001, S110 - a closed file, or whatever a program has put there
        pass


def _parse(data: bytes) -> "Any":
    """What DATA, of which the checksum has been compared, says."""
    return marshal.loads(data)  # noqa: S302


def _is_another(release: str, bound: object) -> bool:
    """Whether BOUND, the start of the lock's digest for which an index was written, is not what the release is named by."""
    name = release.rpartition("/")[2]
    return bool(bound) and len(name) > len("20261121T063000Z-") and "Z-" in name and not name.endswith(f"Z-{bound}")


def _why_not_here() -> str:
    """Why this interpreter would not load the bytecode that was packed; ``""`` where it would."""
    if sys.flags.optimize:
        return "-O asks for other bytecode"
    if _imp.check_hash_based_pycs == "always":
        return "--check-hash-based-pycs asks for every source to be read"
    return ""


def _body(release: str) -> bytes:
    """The body of the index, read in one piece and checked."""
    try:
        opened = os.open(f"{release}/{INDEX_NAME}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # never wait for a pipe
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
    if number(AT_VERSION) not in READABLE:
        raise UnusableError(f"{INDEX_NAME} has format {number(AT_VERSION)}, this shim knows {VERSION}")
    if field(AT_BYTECODE) != MAGIC_NUMBER:
        raise UnusableError(f"{INDEX_NAME} is for another interpreter than {sys.implementation.cache_tag}")
    body = data[HEADER_SIZE:]
    if len(body) != number(AT_BODY) or len(data) != size:
        raise UnusableError(f"{INDEX_NAME} has {len(body)} bytes of {number(AT_BODY)}")
    if checksum(data[: AT_CHECKSUM[0]] + body) != field(AT_CHECKSUM):
        raise UnusableError(f"{INDEX_NAME} is damaged: its checksum does not match")
    return body
