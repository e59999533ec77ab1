"""NumPy's `.npy`: a header that says of what type the array is. Arrays of objects are pickles.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import struct
from typing import Any, Final

SIGNATURE: Final = b"\x93NUMPY"
_LONGEST_HEADER: Final = 1 << 20
_TYPES: Final = frozenset("?bBhHiIlLqQefdgFDGSaUVmMcpPu")


def array_needs_trust(content: bytes) -> str:
    """Say why an array that begins so needs trust ('' when it does not): it holds objects, or its header is not known."""
    try:
        descr = _header(content)["descr"]
        return "" if _is_plain(descr) else "is an array of objects: NumPy loads it as a pickle"
    except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError, struct.error) as error:
        return f"is a NumPy array whose header efsprov does not understand ({type(error).__name__})"


def _header(content: bytes) -> dict[str, Any]:
    major = content[6]
    width, form, encoding = (2, "<H", "latin-1") if major == 1 else (4, "<I", "utf-8" if major == 3 else "latin-1")
    if major not in {1, 2, 3}:
        raise ValueError("an unknown version")
    (length,) = struct.unpack_from(form, content, 8)
    start = 8 + width
    if length > _LONGEST_HEADER or start + length > len(content):
        raise ValueError("a header that is too long")
    header: dict[str, Any] = ast.literal_eval(content[start : start + length].decode(encoding).strip())
    return header


def _is_plain(descr: Any) -> bool:
    """Tell whether a type's description names numbers, texts, times and bytes only, in structures or not."""
    if isinstance(descr, str):
        return descr.lstrip("<>=|")[:1] in _TYPES
    if isinstance(descr, tuple):  # (type, shape)
        return _is_plain(descr[0])
    return bool(descr) and all(_is_plain(field[1]) for field in descr)
