"""The root as somebody who has it mounted sees it: room, owner, mode."""

import os
from dataclasses import dataclass
from pathlib import Path

from efsprov.store.fs.errors import translate_os_errors


@dataclass(frozen=True)
class DiskSpace:
    """Free bytes of the file system; the root's owner, its mode in octal digits, and whether who looked may write it."""

    free_bytes: int
    uid: int
    mode: str
    writable: bool


def read_disk_space(root: Path) -> DiskSpace:
    """Look at a root that is mounted here; raises ``RootError`` where it cannot be looked at."""
    with translate_os_errors("Looking at the root", root):
        disk_space, owner = os.statvfs(root), root.stat()
    return DiskSpace(
        disk_space.f_bavail * disk_space.f_frsize,
        owner.st_uid,
        f"{owner.st_mode & 0o7777:o}",
        os.access(root, os.W_OK | os.X_OK),
    )
