"""Reads the wire format of Protocol Buffers, without a schema: https://protobuf.dev/programming-guides/encoding/."""

from collections.abc import Iterator
from typing import NamedTuple

from efsprov.pipeline.tools.file_bytes import FileBytes

Data = FileBytes | bytes
"""Where a message lies: in a file, or in memory."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class WireError(ValueError):
    """The bytes are not a message: cut off, or not Protocol Buffers at all."""


class Field(NamedTuple):
    """One field. ``value`` is a number, or the (start, end) of what a length-delimited field holds."""

    number: int
    value: int | tuple[int, int]

    @property
    def span(self) -> tuple[int, int]:
        """Where the field's bytes lie; raises ``WireError`` for a field that is a number."""
        if isinstance(self.value, int):
            raise WireError(f"field {self.number} is a number where a message or a text is expected")
        return self.value


def fields(data: Data, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message that lies at ``start`` to ``end``, in order; raises ``WireError``."""
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise WireError(f"there is no field 0 (at byte {at})")
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield Field(number, value)
        elif wire == _LENGTH:
            length, at = _varint(data, at, end)
            if length > end - at:
                raise WireError(f"it ends {length - (end - at)} bytes early")
            yield Field(number, (at, at + length))
            at += length
        elif wire in {_FIXED64, _FIXED32}:
            size = 8 if wire == _FIXED64 else 4
            if size > end - at:
                raise WireError(f"it ends {size - (end - at)} bytes early")
            yield Field(number, int.from_bytes(data[at : at + size], "little"))
            at += size
        else:
            raise WireError(f"unknown wire type {wire} (at byte {at})")


def text(data: Data, field: Field) -> str:
    """Return a text field's content; raises ``WireError`` where it is not UTF-8."""
    start, end = field.span
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as error:
        raise WireError(f"field {field.number} is not text") from error


def _varint(data: Data, at: int, end: int) -> tuple[int, int]:
    result = 0
    for count in range(_LONGEST_VARINT):
        if at >= end:
            raise WireError("it ends in the middle of a number")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return result, at
    raise WireError(f"a number has no end (at byte {at})")
