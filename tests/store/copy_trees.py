"""Source trees for tests of the copy, and what they ought to become."""

import hashlib
import os
import random
from pathlib import Path

from efsprov.core.filelist import FileEntry


def entry(path: str, content: bytes, mode: int = 0o644) -> FileEntry:
    """The entry of a file with this content."""
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest(), mode)


def make_tree(top: Path, contents: dict[str, bytes], modes: dict[str, int] | None = None) -> tuple[FileEntry, ...]:
    """Write files below ``top`` and return their entries."""
    entries = []
    for name, content in contents.items():
        mode = (modes or {}).get(name, 0o644)
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        entries.append(entry(name, content, mode))
    return tuple(sorted(entries))


def framework(seed: int = 0, *, files: int = 60, large: int = 3 << 20) -> dict[str, bytes]:
    """Contents like a framework's: many small files in nested folders, empty ones, one of several pieces."""
    chance = random.Random(seed)
    contents = {
        f"site/pkg/{n % 7}/{n % 3}/module_{n}.py": chance.randbytes(chance.randrange(4000)) for n in range(files)
    }
    contents["site/pkg/__init__.py"] = b""
    contents["site/pkg/libs/large.so"] = chance.randbytes(large + 17)
    contents["site/odd ünïcode name/with\nnewline"] = b"x"
    return contents


def tree_of(top: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file below ``top``; folders end in '/'."""
    found = {}
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        found |= {f"{(here / name).relative_to(top)}/": (0, b"") for name in folders}
        for name in names:
            path = here / name
            found[str(path.relative_to(top))] = (path.lstat().st_mode & 0o7777, path.read_bytes())
    return found


def wanted(contents: dict[str, bytes], modes: dict[str, int] | None = None) -> dict[str, tuple[int, bytes]]:
    """What ``tree_of`` returns for a folder that holds exactly ``contents``."""
    folders = {f"{parent}/" for name in contents for parent in Path(name).parents if str(parent) != "."}
    return dict.fromkeys(folders, (0, b"")) | {
        name: ((modes or {}).get(name, 0o644), content) for name, content in contents.items()
    }
