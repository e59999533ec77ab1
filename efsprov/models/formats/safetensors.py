"""safetensors: a length, a JSON header, and tensors without gaps (https://github.com/huggingface/safetensors#format)."""

import json
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, Final

from efsprov.core.errors import ModelError
from efsprov.core.filelist import is_inside
from efsprov.models.formats.inspection import damaged

_LONGEST_HEADER: Final = 100_000_000
_WHAT: Final = "safetensors file"
# bits of one element
_BITS: Final = {
    **dict.fromkeys(("F4", "FP4"), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


def looks_like_safetensors(head: bytes, size: int) -> bool:
    """Tell by its first bytes whether a file of ``size`` bytes may be safetensors."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= min(_LONGEST_HEADER, size - 8)


def check_safetensors(path: Path) -> None:
    """Check that the header is sound and that the file holds just the tensors that it names; raises ``ModelError``."""
    size = path.stat().st_size
    header = _read_header(path, size)
    tensors = {name: result for name, result in header.items() if name != "__metadata__"}
    spans = sorted(_span(path, name, result) for name, result in tensors.items())
    total = spans[-1][1] if spans else 0
    for (_, end), (start, _) in pairwise([(0, 0), *spans]):
        if start != end:
            raise damaged(path, f"its tensors overlap or leave a gap at byte {min(start, end)} of the data", what=_WHAT)
    there = size - 8 - int.from_bytes(_first(path, 8), "little")
    if there != total:
        raise damaged(path, f"its header describes {total} bytes of tensors, the file holds {there}", what=_WHAT)


def check_index(path: Path) -> None:
    """Check that the shards that a `*.safetensors.index.json` names are there; raises ``ModelError``."""
    try:
        shards = set(json.loads(path.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, "it has no weight_map", what="safetensors index") from error
    missing = [s for s in shards if not isinstance(s, str) or not is_inside(s) or not (path.parent / s).is_file()]
    if missing:
        raise ModelError(
            f"{path} names what is not beside it: {', '.join(sorted(map(str, missing))[:3])}"
            + (f" and {len(missing) - 3} more." if len(missing) > 3 else "."),
            hint="Nothing was published. Push the folder that holds all of them.",
        )


def _first(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def _read_header(path: Path, size: int) -> dict[str, Any]:
    length = int.from_bytes(_first(path, 8), "little")
    if size < 8 or length > min(_LONGEST_HEADER, size - 8):
        raise damaged(path, f"its header is to be {length} bytes long, the file has {size}", what=_WHAT)
    try:
        header = json.loads(_first(path, 8 + length)[8:])
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its header is not JSON ({error})", what=_WHAT) from error
    if not isinstance(header, dict):
        raise damaged(path, "its header is not a JSON object", what=_WHAT)
    return header


def _span(path: Path, name: str, result: Any) -> tuple[int, int]:
    try:
        kind, shape, (start, end) = result["dtype"], result["shape"], result["data_offsets"]
        numbers = [*shape, start, end]
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"tensor {name!r} has no dtype, shape or data_offsets", what=_WHAT) from error
    if (
        not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
        or not isinstance(kind, str)
        or kind not in _BITS
    ):
        raise damaged(path, f"tensor {name!r} has a dtype, shape or place that cannot be", what=_WHAT)
    if (end - start) * 8 != prod(shape) * _BITS[kind]:
        raise damaged(path, f"tensor {name!r} of {kind}{shape} cannot be {end - start} bytes", what=_WHAT)
    return start, end
