"""Says what `--slim` would save before anything is downloaded: a wheel's table of contents is at its end."""

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from efsprov.core.errors import FetchError
from efsprov.core.lock import Lock, LockedFile
from efsprov.core.slim import Saving, savings
from efsprov.core.urls import split_url
from efsprov.core.zip_members import is_folder
from efsprov.pipeline.tools.http import Downloads
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.wheel_cache import WheelCache

_AT_ONCE: Final = 16
_TAIL: Final = 64 << 10  # holds the table of contents of a wheel with a few hundred files
_TABLE: Final = 64 << 20  # the longest table of contents that is asked for


@dataclass(frozen=True)
class PlannedSavings:
    """``by_rule`` is what each rule would save by itself; ``unknown`` are packages whose contents could not be learnt."""

    by_rule: dict[str, Saving]
    unknown: tuple[str, ...]


def plan_savings(lock: Lock, settings: InstallerSettings, cache: WheelCache) -> PlannedSavings:
    """Look into the tables of contents of a lock's wheels, here or on their servers; raises nothing for what is not reported."""
    with Downloads(settings, connections=_AT_ONCE) as downloads, ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = list(pool.map(lambda package: _contents(package.file, cache, downloads), lock.packages))
    saved: defaultdict[str, Saving] = defaultdict(Saving)
    for sizes in tables:
        for rule, saving in savings(sizes or {}).items():
            saved[rule] += saving
    unknown = tuple(package.name for package, sizes in zip(lock.packages, tables, strict=True) if sizes is None)
    return PlannedSavings(dict(saved), unknown)


def _contents(file: LockedFile, cache: WheelCache, downloads: Downloads) -> Mapping[str, int] | None:
    """Return the sizes of what a wheel installs into a site, by path; None where that is not reported."""
    if not file.is_wheel:
        return None
    try:
        if cache.has(file):
            return installed_sizes(cache.path(file))
        parts = split_url(file.url)
        if parts.scheme == "file":
            return installed_sizes(Path(unquote(parts.path)))
        return installed_sizes(_remote(file, downloads))
    except (OSError, FetchError, zipfile.BadZipFile, _UnknownSizeError):
        return None


def installed_sizes(wheel: Path | io.RawIOBase) -> dict[str, int]:
    """Return the sizes in bytes of the files that a wheel installs into a site, by path."""
    with zipfile.ZipFile(wheel) as archive:
        found = {_installed_path(info.filename): info.file_size for info in archive.infolist() if not is_folder(info)}
    found.pop("", None)
    return found


def _installed_path(member: str) -> str:
    """Return where a member goes; '' for what goes elsewhere (PEP 427: `NAME.data/KEY/`)."""
    first, _, rest = member.partition("/")
    if not first.endswith(".data"):
        return member
    key, _, path = rest.partition("/")
    return path if key in {"purelib", "platlib"} else ""


class _UnknownSizeError(Exception):
    """The server does not say how long the file is, or sends no parts of it."""


def _remote(file: LockedFile, downloads: Downloads) -> io.RawIOBase:
    size = file.size or downloads.size(file.url)
    if size is None:
        raise _UnknownSizeError
    tail = _Tail(size, max(0, size - _TAIL), file, downloads)
    try:
        zipfile.ZipFile(tail).close()
    except _BeforeError as error:
        if size - error.position > _TABLE:
            raise _UnknownSizeError from error
        tail = _Tail(size, error.position, file, downloads)
    tail.seek(0)
    return tail


class _BeforeError(Exception):
    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class _Tail(io.RawIOBase):
    """A remote file of which the bytes from ``start`` on are here; raises ``_BeforeError`` for others."""

    def __init__(self, size: int, start: int, file: LockedFile, downloads: Downloads) -> None:
        with downloads.open(file.url, start) as (response, begins):
            if begins != start:
                raise _UnknownSizeError
            self._content = b"".join(response.stream(1 << 16))
        if len(self._content) != size - start:
            raise _UnknownSizeError
        self._size, self._start, self._position = size, start, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._position < self._start:
            raise _BeforeError(self._position)
        at = self._position - self._start
        chunk = self._content[at : at + len(buffer)]
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)
