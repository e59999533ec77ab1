"""Zip archives: their members, once it is known that they are sound and stay in the folder that they are unpacked to."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.core.filelist import is_inside, unfit_for_a_root
from efsprov.models.formats.inspection import damaged

SIGNATURE: Final = b"PK\x03\x04"
_LOCAL_HEADER: Final = 30
_ENCRYPTED: Final = 0x1
_LARGEST_RATIO: Final = 1032  # what deflate can reach (zlib's technical details, https://zlib.net/zlib_tech.html)


@contextmanager
def open_zip(path: Path, *, what: str = "zip archive") -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose members were checked; raises ``ModelError``.

    What is checked: names (no way out of a folder, none twice), types (files and folders), and that each member lies in
    the file, apart from the others, and cannot be larger than its method allows.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged(path, f"it is truncated or no zip archive ({error})", what=what) from error
    with archive:
        _check_members(path, archive, what)
        yield archive


def read_member(path: Path, archive: zipfile.ZipFile, name: str, *, most: int) -> bytes:
    """Return a member's content; raises ``ModelError`` when that is more than ``most`` bytes, or damaged."""
    if archive.getinfo(name).file_size > most:
        raise ModelError(f"{path}: {name!r} is larger than {most} bytes.", hint="Nothing was published.")
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise damaged(path, f"its member {name!r} cannot be read ({error})", what="zip archive") from error


def refuse_name(path: Path, name: str) -> None:
    """Raise ``ModelError`` when an archive's member would leave the folder that it is unpacked to."""
    reason = unfit_for_a_root(name.rstrip("/"))
    if reason:
        raise ModelError(f"{path} has a member {name[:80]!r}: {reason}.", hint="Nothing was unpacked or published.")
    if not is_inside(name.rstrip("/")) or "\\" in name or ":" in name.partition("/")[0]:
        raise ModelError(
            f"{path} has a member {name!r}, which leads out of the folder that it is unpacked to.",
            hint="Nothing was unpacked or published. Somebody made this archive by hand: find out who.",
        )


def _check_members(path: Path, archive: zipfile.ZipFile, what: str) -> None:
    members = archive.infolist()
    seen = set()
    for member in members:
        name = member.orig_filename if member.orig_filename != member.filename else member.filename
        refuse_name(path, name)
        if name in seen:
            raise damaged(path, f"it has two members {name!r}", what=what)
        seen.add(name)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise damaged(path, f"its member {name!r} is neither a file nor a folder", what=what)
        if member.flag_bits & _ENCRYPTED:
            raise damaged(path, f"its member {name!r} is encrypted", what=what)
        if member.file_size > max(member.compress_size, 1) * _LARGEST_RATIO:
            raise damaged(path, f"its member {name!r} is to unpack to {member.file_size} bytes", what=what)
    ends = sorted((m.header_offset, m.header_offset + _LOCAL_HEADER + m.compress_size) for m in members)
    if any(end > start for (_, end), (start, _) in pairwise([*ends, (archive.start_dir, archive.start_dir)])):
        raise damaged(path, "its members overlap, or lie outside of it", what=what)
