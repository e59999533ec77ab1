"""A file's attributes as the kernel has them cached, without asking the server.

After LINK, and after a listing that went to the server (READDIR), what is cached is what the server has just said; an
ordinary stat(2) would ask once more for every file (GETATTR) as soon as the attributes are three seconds old.
"""

import ctypes
import os
import platform
import struct
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = {"x86_64": 332, "aarch64": 291}  # of statx(2); glibc 2.26 (Amazon Linux 2) has no function for it
_DONT_SYNC: Final = 0x4000 | 0x100  # AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW
_BASIC: Final = 0x7FF
_STATX: Final = struct.Struct("=IIQIIIHHQQQQ" + "qIi" * 4)  # up to stx_mtime, <linux/stat.h>
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class CachedStat:
    """Type and permission bits, size, links, inode number, and the last change of content in ns since the epoch."""

    mode: int
    size: int
    links: int
    inode: int
    modified_ns: int


def cached_stat(name: str, dir_fd: int) -> CachedStat | None:
    """Return the attributes of ``name`` in an open folder, or None when it is not there; links are not followed.

    Raises what stat(2) raises for any other reason.
    """
    number = _NUMBER.get(platform.machine())
    if number is not None:
        buffer = ctypes.create_string_buffer(256)
        if _LIBC.syscall(number, dir_fd, os.fsencode(name), _DONT_SYNC, _BASIC, buffer) == 0:
            values = _STATX.unpack_from(buffer)
            links, mode, inode, size, seconds, nanoseconds = (values[i] for i in (3, 6, 8, 9, -3, -2))
            return CachedStat(mode, size, links, inode, seconds * 1_000_000_000 + nanoseconds)
    try:
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return CachedStat(status.st_mode, status.st_size, status.st_nlink, status.st_ino, status.st_mtime_ns)
