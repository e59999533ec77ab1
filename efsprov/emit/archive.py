"""Zip archives of which the same files give the same bytes, and what Lambda allows of their size."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from efsprov.core.errors import UsageError

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UNZIPPED: Final = 262_144_000
MAX_UPLOAD: Final = 50_000_000
"""Bytes of an archive that goes in the request itself; a larger one takes the way over S3."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell
_UNIX: Final = 3
_REGULAR: Final = 0o100000


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    content: bytes
    executable: bool = False


def pack(members: Mapping[str, Member], *, compressed: bool = True) -> bytes:
    """Return a zip with ``members`` by path: sorted, without times and owners, readable by everybody.

    Bytes of a compressed archive also hang on the zlib that compresses; those of a stored one on nothing else.
    """
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method, compresslevel=9 if compressed else None) as archive:
        for path in sorted(members):
            info = zip_entry(path, executable=members[path].executable)
            info.compress_type = method
            archive.writestr(info, members[path].content)
    return buffer.getvalue()


def zip_entry(path: str, *, executable: bool = False) -> zipfile.ZipInfo:
    """Return a member to be compressed that says nothing of when and by whom it was made, and that everybody may read."""
    info = zipfile.ZipInfo(path, _EPOCH)
    info.create_system = _UNIX
    # Lambda runs functions as a user of its own: what it cannot read fails with "Permission denied".
    info.external_attr = (_REGULAR | (0o755 if executable else 0o644)) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def unzipped_size(members: Mapping[str, Member]) -> int:
    """Bytes that the archive takes once it is unpacked."""
    return sum(len(member.content) for member in members.values())


def refuse_too_large(members: Mapping[str, Member], *, what: str, limit: int = MAX_UNZIPPED) -> None:
    """Raise ``UsageError``, naming the largest parts, when ``members`` are more than Lambda unpacks."""
    total = unzipped_size(members)
    if total <= limit:
        return
    parts: dict[str, int] = {}
    for path, member in members.items():
        top = path.split("/")[0]
        parts[top] = parts.get(top, 0) + len(member.content)
    largest = sorted(parts.items(), key=lambda part: (-part[1], part[0]))[:5]
    raise UsageError(
        f"{what} is {total:,} bytes unzipped; Lambda takes {limit:,} with all layers ({total - limit:,} too many). "
        f"Largest parts: {', '.join(f'{name} {size:,}' for name, size in largest)}.",
        hint="Leave out what the function does not need.",
    )
