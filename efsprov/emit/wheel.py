"""A pure wheel from contents: the archive, its METADATA, WHEEL and RECORD (PEP 427); the same contents, the same bytes."""

import base64
import hashlib
from collections.abc import Mapping

from efsprov.emit.archive import Member, pack


def wheel_name(distribution: str, version: str) -> str:
    """Return the file name of a pure wheel."""
    return f"{distribution.replace('-', '_')}-{version}-py3-none-any.whl"


def pack_wheel(
    distribution: str, version: str, contents: Mapping[str, bytes], *, metadata: bytes, compressed: bool = True
) -> bytes:
    """Return the wheel of ``contents`` (by their paths below `site-packages`) with this METADATA."""
    info = f"{distribution.replace('-', '_')}-{version}.dist-info"
    inside = {
        **contents,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: efsprov\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    lines = [f"{path},{_record_hash(inside[path])},{len(inside[path])}" for path in sorted(inside)]
    inside[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    return pack({path: Member(content) for path, content in inside.items()}, compressed=compressed)


def _record_hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
