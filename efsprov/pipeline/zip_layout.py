"""Checks how a zip file lies on the disk: that every reader sees the same members in it."""

import mmap
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_UTF8_NAME: Final = 0x800
_NEEDS_64: Final = 0xFFFFFFFF


class LayoutError(Exception):
    """What is wrong with the file, as a clause."""


def check_layout(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ``LayoutError`` unless the file is one zip from its first to its last byte, and its members do not overlap.

    ``members`` is the central directory. A zip may begin anywhere, may be followed by another, and says each member's
    name twice: readers differ in what they make of that, so that one sees what another does not.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _central_directory(data)
        at = 0
        for member in sorted(members, key=lambda m: m.header_offset):
            if member.header_offset < at:
                raise LayoutError(f"{member.filename} lies on another member's bytes")
            if at == 0 and member.header_offset != 0:
                raise LayoutError("there is something before the first member")
            at = _end_of(data, member)
        if at > start:
            raise LayoutError("a member lies on the directory's bytes")


def _central_directory(data: mmap.mmap) -> int:
    """Return where the directory begins, once it is clear that it and the file end where they should."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - 0xFFFF))
    if end < 0 or end + _END.size > len(data):
        raise LayoutError("it has no end")
    *_, size, start, comment = _END.unpack_from(data, end)
    if end + _END.size + comment != len(data):
        raise LayoutError("something follows its end")
    records = end
    if _NEEDS_64 in {size, start}:
        locator = end - _END64_LOCATOR.size
        signature, _, records, _ = _END64_LOCATOR.unpack_from(data, max(0, locator))
        if signature != b"PK\6\7" or records + _END64.size > locator:
            raise LayoutError("its 64-bit end is damaged")
        *_, size, start = _END64.unpack_from(data, records)
    if start + size != records:
        raise LayoutError("there is something before it, or between its parts")
    return int(start)


def _end_of(data: mmap.mmap, member: zipfile.ZipInfo) -> int:
    """Return where a member's data end; its local header must say the name that the directory says."""
    try:
        signature, _, flags, *_, name_length, extra_length = _LOCAL.unpack_from(data, member.header_offset)
    except struct.error:
        raise LayoutError(f"{member.filename} is cut off") from None
    at = member.header_offset + _LOCAL.size
    name = data[at : at + name_length].decode("utf-8" if flags & _UTF8_NAME else "cp437", "replace")
    if signature != b"PK\3\4" or name != member.orig_filename:
        raise LayoutError(f"{member.filename} is {name!r} where its bytes are")
    return at + int(name_length) + int(extra_length) + member.compress_size


def is_regular(member: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a plain file: no link, device or pipe, not encrypted."""
    kind = (member.external_attr >> 16) & 0o170000
    return kind in {0, 0o100000} and not member.flag_bits & 1
