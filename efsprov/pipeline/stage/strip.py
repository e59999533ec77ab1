"""Takes debug sections out of libraries, and makes sure that what a loader maps is the same bytes at the same places.

Stripping is known to break libraries whose sections were moved before (auditwheel and patchelf do so): the loader then
finds a segment at an offset that does not agree with its address modulo the page size. So every stripped file is held
against the original: the same segments, at the same offsets and addresses, aligned, with the same content. One that is
not is kept as it was.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from efsprov.core.errors import BuildError

_TOOLS: Final = ("strip", "llvm-strip", "eu-strip")
_MAGIC: Final = b"\x7fELF"
_HEADER: Final = 64  # bytes of an ELF-64 header; it names the section table, which moves
_CHUNK: Final = 1 << 20
_LOADED: Final = ("ET_DYN", "ET_EXEC")


@dataclass(frozen=True)
class Stripped:
    """``changed`` maps paths to (SHA-256 in hex, bytes before, bytes after); ``remarks`` are for the user."""

    changed: dict[str, tuple[str, int, int]]
    remarks: tuple[str, ...]


def strip_tree(top: Path, paths: Collection[str]) -> Stripped:
    """Strip what is ELF and has debug sections among ``paths`` under ``top``; raises ``BuildError`` without a tool."""
    chosen = sorted(path for path in paths if has_debug_sections(top / path))
    if not chosen:
        return Stripped({}, ())
    tool = find_tool()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: _strip(tool, top / path), chosen))
    changed = {path: result for path, result in zip(chosen, results, strict=True) if not isinstance(result, str)}
    kept = [
        f"{path} keeps its debug sections: {r}." for path, r in zip(chosen, results, strict=True) if isinstance(r, str)
    ]
    return Stripped(changed, tuple(kept))


def find_tool() -> str:
    """Return the program that strips; raises ``BuildError``."""
    for name in _TOOLS:
        if found := shutil.which(name):
            return found
    raise BuildError(
        f"Debug sections cannot be taken out on this builder: it has none of {', '.join(_TOOLS)}.",
        hint="Install binutils there, or leave `debug` out of --slim.",
    )


def has_debug_sections(path: Path) -> bool:
    """Tell whether a file is a library or program with debug sections."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
        try:
            elf = ELFFile(file)
            return elf["e_type"] in _LOADED and any(
                s.name.startswith((".debug", ".zdebug")) for s in elf.iter_sections()
            )
        except (ELFError, ValueError, KeyError):
            return False  # whether it can be loaded at all is the check step's business


def difference(before: Path, after: Path) -> str:
    """Say in what a loader would see ``after`` differ from ``before``; '' when it would not."""
    with before.open("rb") as one, after.open("rb") as other:
        try:
            segments, stripped = (list(ELFFile(file).iter_segments()) for file in (one, other))
            if [dict(s.header) for s in segments] != [dict(s.header) for s in stripped]:
                return "its segments would move"
            for segment in segments:
                header = segment.header
                if header.p_type != "PT_LOAD":
                    continue
                if header.p_align > 1 and (header.p_vaddr - header.p_offset) % header.p_align:
                    return "a segment is not aligned"
                end = header.p_offset + header.p_filesz
                if not _same_content(one, other, max(header.p_offset, _HEADER), end):
                    return "what is loaded of it would change"
        except (ELFError, ValueError, KeyError) as error:
            return f"it cannot be read once it is stripped ({error})"
    return ""


def _strip(tool: str, path: Path) -> tuple[str, int, int] | str:
    beside = path.with_name(f".{path.name}.stripped")
    try:
        done = subprocess.run([tool, "--strip-debug", "-o", beside, path], capture_output=True, check=False)
        if done.returncode:
            output = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
                f"it ended with {done.returncode}"
            ]
            return f"{Path(tool).name} failed ({output[0]})"
        problem = difference(path, beside)
        if problem:
            return problem
        before, after = path.stat().st_size, beside.stat().st_size
        if after >= before:
            return "it would not become smaller"
        beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), before, after


def _same_content(one: BinaryIO, other: BinaryIO, start: int, end: int) -> bool:
    for position in range(start, end, _CHUNK):
        length = min(_CHUNK, end - position)
        one.seek(position)
        other.seek(position)
        if one.read(length) != other.read(length):
            return False
    return True
