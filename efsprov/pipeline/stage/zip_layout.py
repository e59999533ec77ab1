"""Checks how a zip file lies on the disk: that every reader sees the same members in it."""

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from efsprov.pipeline.tools.file_bytes import FileBytes, file_bytes

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_UTF8_NAME: Final = 0x800
_NEEDS_64: Final = 0xFFFFFFFF
_ENTRIES_NEED_64: Final = 0xFFFF


class LayoutError(Exception):
    """What is wrong with the file, as a clause."""


def check_layout(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ``LayoutError`` unless the file is one zip from its first to its last byte, and its members do not overlap.

    ``members`` is the central directory. A zip may begin anywhere, may be followed by another, and says each member's
    name twice: readers differ in what they make of that, so that one sees what another does not.
    """
    with file_bytes(path) as data:
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


def _central_directory(data: FileBytes) -> int:
    """Return where the directory begins, once it is clear that it and the file end where they should."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - 0xFFFF))
    if end < 0 or end + _END.size > len(data):
        raise LayoutError("it has no end")
    *_, entries, size, start, comment = _END.unpack(data.read(end, _END.size))
    if end + _END.size + comment != len(data):
        raise LayoutError("something follows its end")
    records = end
    if _NEEDS_64 in {size, start} or entries == _ENTRIES_NEED_64:
        locator = end - _END64_LOCATOR.size
        signature, _, records, _ = _END64_LOCATOR.unpack(data.read(max(0, locator), _END64_LOCATOR.size))
        if signature != b"PK\6\7":
            if entries != _ENTRIES_NEED_64 or _NEEDS_64 in {size, start}:
                raise LayoutError("its 64-bit end is damaged")
            return _whole(start, size, end)  # just 65,535 members need no 64-bit end
        if records + _END64.size > locator:
            raise LayoutError("its 64-bit end is damaged")
        *_, size, start = _END64.unpack(data.read(records, _END64.size))
    return _whole(start, size, records)


def _whole(start: int, size: int, end: int) -> int:
    """Return where the directory starts, which must end where its end's record begins."""
    if start + size != end:
        raise LayoutError("there is something before it, or between its parts")
    return start


def _end_of(data: FileBytes, member: zipfile.ZipInfo) -> int:
    """Return where a member's data end; its local header must say the name that the directory says."""
    try:
        signature, _, flags, *_, name_length, extra_length = _LOCAL.unpack(data.read(member.header_offset, _LOCAL.size))
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
