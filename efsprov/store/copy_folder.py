"""A folder that is being filled: its descriptors in staging, in the source and in the releases that it is linked from."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from efsprov.store.links import LinkSource

OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


class CopyFolder:
    """Opened for as long as files are opened in it, by whoever has it in hand: not for two threads at a time.

    Raises what ``os.open`` raises.
    """

    def __init__(self, path: str, source: Path, staging: Path) -> None:
        self._path = path
        self._source = source
        self._cleanup = ExitStack()
        self._source_fd: int | None = None
        self._linked: dict[Path, tuple[int, dict[str, os.stat_result]]] = {}
        self.staging = self._open(staging)

    @property
    def source(self) -> int:
        """The folder in the source, opened when it is first asked for."""
        if self._source_fd is None:
            self._source_fd = self._open(self._source)
        return self._source_fd

    def linked(self, source: LinkSource) -> tuple[int, dict[str, os.stat_result]]:
        """Return this folder in a release and the attributes of what is in it; (-1, {}) when it is not there.

        On NFS the listing brings all attributes (READDIR), and no file has to be looked up for its link.
        """
        if source.release not in self._linked:
            try:
                fd = self._open(source.release)
            except FileNotFoundError:
                self._linked[source.release] = (-1, {})
            else:
                with os.scandir(fd) as entries:
                    self._linked[source.release] = (fd, {e.name: e.stat(follow_symlinks=False) for e in entries})
        return self._linked[source.release]

    def close(self) -> None:
        """Close all descriptors."""
        self._cleanup.close()

    def _open(self, top: Path) -> int:
        fd = os.open(f"{top}/{self._path}" if self._path else top, OPEN_FOLDER)
        self._cleanup.callback(os.close, fd)
        return fd
