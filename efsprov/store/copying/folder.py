"""A folder that is being filled: its descriptors in staging, in the source and in the release that it is linked from.

Descriptors in staging are opened as soon as a folder's siblings are made, relative to their parent, and as O_PATH: then
no name is looked up and no permission asked for until the first file is created.
"""

import os
import threading
from pathlib import Path
from typing import Final

from efsprov.store.copying.hard_links import LinkSource

_LISTED: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_HELD: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_WORTH_A_LISTING: Final = 3  # a listing is two round trips, and each name that it brings spares one


def look_in(folder: int, name: str) -> os.stat_result | None:
    """Ask the server what lies under ``name``, as ``lookup.look`` does; for calls whose reply may have been lost."""
    fd = os.open(".", _LISTED, dir_fd=folder)
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    finally:
        os.close(fd)


class FolderBudget:
    """How many folders may be held open before their turn comes."""

    def __init__(self, folders: int) -> None:
        self._left = self._all = folders
        self._lock = threading.Lock()

    @property
    def is_low(self) -> bool:
        """Whether there is little room left."""
        return self._left * 4 < self._all

    def take(self) -> bool:
        """Take a place if there is one."""
        with self._lock:
            there_is = self._left > 0
            self._left -= there_is
            return there_is

    def give_back(self) -> None:
        """Free a place."""
        with self._lock:
            self._left += 1


class CopyFolder:
    """Descriptors of one folder, for whoever has it in hand. Its methods raise what ``os.open`` raises."""

    def __init__(self, path: str, source: Path, staging: Path, budget: FolderBudget) -> None:
        self.path = path
        self._source, self._staging, self._budget = source, staging, budget
        self._fds: dict[Path, int] = {}
        self._held: dict[Path, int] = {}
        self._names: dict[Path, frozenset[str]] = {}
        self._budgeted = False
        self._lock = threading.RLock()  # the calls of a wave share it

    @property
    def staging(self) -> int:
        """The folder in staging (O_PATH)."""
        return self._open(self._staging, _HELD)

    @property
    def source(self) -> int:
        """The folder in the source (O_PATH)."""
        return self._open(self._source, _HELD)

    def linked(self, source: LinkSource) -> tuple[int, frozenset[str]]:
        """Return this folder in a release and the names that are in it; (-1, {}) when it is not there.

        On NFS the listing (READDIR) brings every file's handle and attributes, so that none has to be looked up.
        """
        release = source.release
        with self._lock:
            if release not in self._names:
                try:
                    held = self._held.get(release)
                    if held is not None:
                        self._fds[release] = os.open(".", _LISTED, dir_fd=held)
                    self._names[release] = frozenset(os.listdir(self._open(release, _LISTED)))
                except FileNotFoundError:
                    self._fds[release], self._names[release] = -1, frozenset()
            return self._fds[release], self._names[release]

    def refresh_names(self, folders: int) -> None:
        """Before ``folders`` of this one are opened, list it if that is cheaper than to look each of them up."""
        if folders >= _WORTH_A_LISTING:
            fd = os.open(".", _LISTED, dir_fd=self.staging)
            try:
                os.listdir(fd)
            finally:
                os.close(fd)

    def below(self, name: str, linked: LinkSource | None) -> "CopyFolder":
        """Return a folder in this one, opened if there is room: in staging, and in the release that it is linked from."""
        path = f"{self.path}/{name}" if self.path else name
        folder = CopyFolder(path, self._source, self._staging, self._budget)
        if self._budget.take():
            folder._budgeted = True
            folder._fds[self._staging] = os.open(name, _HELD, dir_fd=self.staging)
            if linked is not None and name in self.linked(linked)[1]:
                folder._held[linked.release] = os.open(name, _HELD, dir_fd=self.linked(linked)[0])
        return folder

    def learn_permission(self) -> None:
        """Ask the server once whether names may be looked up here, so that several calls at once need not each ask.

        Linux asks (ACCESS) whenever the folder changed and the server does not say that nobody else changed it.
        """
        os.close(os.open(".", _HELD, dir_fd=self.staging))

    def close(self) -> None:
        """Close all descriptors."""
        for fds in (self._fds, self._held):
            for fd in fds.values():
                if fd >= 0:
                    os.close(fd)
            fds.clear()
        if self._budgeted:
            self._budgeted = False
            self._budget.give_back()

    def _open(self, top: Path, flags: int) -> int:
        with self._lock:
            if top not in self._fds:
                self._fds[top] = os.open(f"{top}/{self.path}" if self.path else top, flags)
            return self._fds[top]
