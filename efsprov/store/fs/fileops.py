"""The mutating file-system calls that the store makes, in one place, so that tests can fail, kill and count each.

The methods are those of ``os``, with the same parameters: no policy here. What a failed call means is decided where
it is called, because on NFS a call that reports an error may have happened (its reply was lost).
"""

import ctypes
import os


class FileOps:
    """The calls as the kernel does them. ``dir_fd`` is an open directory that a relative path starts from."""

    def mkdir(self, path: str, mode: int = 0o755, *, dir_fd: int | None = None) -> None:
        os.mkdir(path, mode, dir_fd=dir_fd)

    def open(self, path: str, flags: int, mode: int = 0o644, *, dir_fd: int | None = None) -> int:
        """Open a file for writing. Reads go through ``os`` directly."""
        return os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def ftruncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a file that was written: on NFS this is where a write's error comes out."""
        os.close(fd)

    def fchmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def link(self, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        os.link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def symlink(self, text: str, path: str, *, dir_fd: int | None = None) -> None:
        os.symlink(text, path, dir_fd=dir_fd)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        os.unlink(path, dir_fd=dir_fd)

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.rmdir(path, dir_fd=dir_fd)

    def syncfs(self, fd: int) -> None:
        """Bring all that was written to the file system that ``fd`` lies on to stable storage; raises ``OSError``."""
        if _LIBC.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


_LIBC = ctypes.CDLL(None, use_errno=True)
