"""The file list of a release: what is in it, to the byte, one line a file."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from efsprov.core.errors import IntegrityError

NAME: Final = "files.list"
MOST_FOLDERS: Final = 100
LONGEST_PATH: Final = 2000
LONGEST_NAME: Final = 255
_LINE = re.compile(r"([0-9a-f]{64}) ([0-7]{3,4}) ([0-9]{1,19}) (.+)")


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One regular file: ``path`` relative to its tree ('/' between the parts), ``size`` in bytes, ``mode`` bits."""

    path: str
    size: int
    sha256: str
    mode: int = 0o644


def dump(entries: Iterable[FileEntry]) -> str:
    """Write entries, sorted by path, as lines `SHA256 MODE SIZE PATH`; '%' and control characters are %-escaped."""
    return "".join(f"{e.sha256} {e.mode:03o} {e.size} {_escape(e.path)}\n" for e in sorted(entries))


def parse(text: str, *, where: str) -> tuple[FileEntry, ...]:
    """Read what ``dump`` wrote; raises ``IntegrityError`` naming ``where`` and the line that is not of its form."""
    entries = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        match = _LINE.fullmatch(line)
        path = unquote(match[4], errors="surrogateescape") if match else ""
        if match is None or not is_inside(path):
            raise IntegrityError(
                f"{where}, line {number}: not a file entry: {line[:80]!r}.",
                hint="The release is damaged: `efsprov verify` tells more; roll back or sync again.",
            )
        entries.append(FileEntry(path, int(match[3]), match[1], int(match[2], 8)))
    return tuple(entries)


def is_inside(path: str) -> bool:
    """Tell whether a relative path stays in its tree and is written the one normal way."""
    return bool(path) and "\0" not in path and all(part not in {"", ".", ".."} for part in path.split("/"))


def unfit_for_a_root(path: str) -> str:
    """Say why a relative path cannot be on a root ('' when it can), wherever the release lies there.

    EFS takes names of 255 bytes and folders 1,000 deep, Linux paths of 4,096 bytes
    (https://docs.aws.amazon.com/efs/latest/ug/limits.html). Half of each is left to what lies above a release, and to the
    programs that walk through it by recursion.
    """
    parts = path.split("/")
    if len(parts) > MOST_FOLDERS:
        return f"it lies {len(parts) - 1} folders deep, more than {MOST_FOLDERS}"
    if len(path.encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        return f"its path is longer than {LONGEST_PATH} bytes"
    if any(len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in parts):
        return f"its name is longer than {LONGEST_NAME} bytes"
    return ""


def digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _escape(path: str) -> str:
    escaped = re.sub(r"[%\x00-\x1f\x7f]", lambda m: f"%{ord(m[0]):02X}", path)
    return re.sub(r"^ | $", "%20", escaped)
