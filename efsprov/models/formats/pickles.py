"""Pickles: whether one holds tensors only, or names functions that run when it is loaded.

The rule is PyTorch's own: `torch.load(weights_only=True)` knows few instructions and few names
(https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only) and refuses everything else. A file that
keeps to both is loaded that way. This is no scan for what is harmful: what does not keep to them needs trust.
"""

import io
import pickletools
import re
from pathlib import Path
from typing import Final

from efsprov.models.formats.inspection import damaged

_INSTRUCTIONS: Final = frozenset(
    (
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
        *("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"),
        *("BINUNICODE", "SHORT_BINSTRING", "BINPERSID", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
    )
)
_TENSORS_ONLY: Final = re.compile(
    r"collections (OrderedDict|Counter)"
    r"|_codecs encode"
    r"|(builtins|__builtin__) (bytearray|set|complex)"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout"
    r"|torch\._tensor _rebuild_from_type_v2"
    r"|torch\._utils _rebuild_(parameter(_with_state)?|qtensor|tensor(_v[23])?|sparse_tensor|nested_tensor"
    r"|meta_tensor_no_storage|wrapper_subclass|device_tensor_from_(numpy|cpu_tensor))"
    r"|torch(\.storage)? (Size|Tensor|device|[A-Z][A-Za-z0-9]*Storage|per_(tensor|channel)_[a-z_]+)"
    r"|torch (bool|u?int\d+|q?u?int\d+|quint\d+x\d+|b?float\d+(_[a-z0-9_]+)?|complex\d+|bits\w+)"
)
_PROTOCOL: Final = re.compile(rb"\x80[\x02-\x05][\x95\x8a}\]()cXKNJ\x8c]")


def looks_like_pickle(head: bytes) -> bool:
    """Tell by its first bytes whether a file may be a pickle of protocol 2 to 5."""
    return _PROTOCOL.match(head) is not None


def beyond_tensors(content: bytes, *, path: Path) -> str:
    """Say what in a pickle is more than tensors ('' when nothing is); raises ``ModelError`` for what is no pickle."""
    try:
        for instruction, argument, _ in pickletools.genops(io.BytesIO(content)):
            if instruction.name == "GLOBAL" and not _TENSORS_ONLY.fullmatch(str(argument)):
                return f"names {str(argument).replace(' ', '.')}, which is called when it is loaded"
            if instruction.name not in _INSTRUCTIONS:
                return f"uses the pickle instruction {instruction.name}, which weights_only does not take"
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise damaged(path, f"its pickle is cut off or damaged ({error})", what="PyTorch file") from error
    return ""
