"""Lists a finished tree: every file with its size, mode and SHA-256."""

import os
import stat
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from efsprov.core.errors import BuildError
from efsprov.core.filelist import FileEntry
from efsprov.store.verify import sha256_of


@dataclass(frozen=True)
class Fingerprint:
    """What changes when a file is written to. Not its time of change: that is new when another release links to it."""

    size: int
    mode: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take it from a file's attributes; the mode is 0644 or 0755, as ``FileEntry`` has it."""
        mode = 0o755 if status.st_mode & 0o111 else 0o644
        return cls(status.st_size, mode, status.st_mtime_ns, status.st_ino)


def fingerprints(top: Path, *, without: Container[str] = ()) -> dict[str, Fingerprint]:
    """Return the attributes of each file under ``top``, by relative path; raises ``BuildError`` for what is not a file.

    Folders ``without`` are passed over.
    """
    found = {}
    for path, status in _walk(str(top), "", without):
        if not stat.S_ISREG(status.st_mode):
            raise BuildError(f"{path} is neither a file nor a folder.", hint="A release holds regular files only.")
        found[path] = Fingerprint.of(status)
    return found


def tidy(top: Path) -> None:
    """Remove empty folders, which no file list can name, and let everybody read: a function runs as another user.

    Installers keep what a wheel says, and this machine's umask; modes become 0644 or 0755, as ``FileEntry`` has them.
    """
    _tidy(str(top))


def settle_modes(top: Path, *, done: Container[str]) -> None:
    """Give ``top`` and all in it the modes of a release, whatever umask made them; folders ``done`` are tidy already.

    A tree on the root's own file system becomes the release as it is: nothing in it may be writable by others.
    """
    top.chmod(0o755)
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in done:
                    _tidy(entry.path)
                os.chmod(entry.path, 0o755)  # noqa: PTH101, S103 - everybody may read a release
            else:
                executable = entry.stat(follow_symlinks=False).st_mode & 0o111
                os.chmod(entry.path, 0o755 if executable else 0o644)  # noqa: PTH101


def list_tree(
    top: Path, known: Mapping[str, str], *, seen: Mapping[str, Mapping[str, Fingerprint]] | None = None
) -> tuple[FileEntry, ...]:
    """Return an entry for each file under ``top``; ``known`` maps paths to SHA-256 that need not be computed again.

    ``seen`` has the fingerprints of folders in ``top``, by their names, that were taken just before.
    """
    seen = seen or {}
    found = fingerprints(top, without=seen)
    for folder, inside in seen.items():
        found.update((f"{folder}/{path}", fingerprint) for path, fingerprint in inside.items())
    unknown = [path for path in found if path not in known]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = dict(known) | dict(zip(unknown, pool.map(lambda path: sha256_of(top / path), unknown), strict=True))
    return tuple(sorted(FileEntry(path, f.size, hashes[path], f.mode) for path, f in found.items()))


def _tidy(folder: str) -> bool:
    """Tidy a folder and tell whether it is empty now."""
    empty = True
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                wanted = 0o755
                if _tidy(entry.path):
                    os.rmdir(entry.path)  # noqa: PTH106 - thousands of times
                    continue
            else:
                wanted = 0o755 if mode & 0o111 else 0o644
            empty = False
            if mode != wanted and not stat.S_ISLNK(status.st_mode):
                os.chmod(entry.path, wanted)  # noqa: PTH101
    return empty


def _walk(top: str, folder: str, without: Container[str] = ()) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(os.path.join(top, folder)) as entries:  # noqa: PTH118 - thousands of times
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if path not in without:
                    yield from _walk(top, path, without)
            else:
                yield path, entry.stat(follow_symlinks=False)
