"""Brings the files of a lock into the wheel cache: in parallel, resumed where they broke off, hashes checked."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from typing import BinaryIO, Final
from urllib.parse import unquote

import efsprov.core.lock as locks
from efsprov.core.errors import EfsprovError, FetchError
from efsprov.core.lock import LockedFile
from efsprov.core.runtime_libraries import LibraryNeeds
from efsprov.core.urls import split_url
from efsprov.pipeline.tools.http import Downloads
from efsprov.pipeline.tools.installer_settings import InstallerSettings

AT_ONCE: Final = 8
_CHUNK: Final = 1 << 20
_REPORT_SECONDS: Final = 0.1

Report = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes that are wanted, as far as they are known."""


class WheelCache:
    """A folder of files by hash, `SHA256/FILENAME`. A file that is there under its name has had that hash.

    Whole files appear by a rename; what is downloaded so far lies beside them in `SHA256/part`, locked by whom it is
    written, so that two runs do not download the same file twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, file: LockedFile) -> Path:
        """Return where a file is, or will be."""
        return self.folder / file.sha256 / file.filename

    def has(self, file: LockedFile) -> bool:
        """Tell whether a file is here, whole."""
        try:
            found = self.path(file).stat().st_size
        except OSError:
            return False
        return file.size is None or found == file.size

    def is_sound(self, file: LockedFile) -> bool:
        """Tell whether a file is here and was once looked into and found sound."""
        return self.has(file) and self.path(file).with_name("sound").exists()

    def mark_sound(self, file: LockedFile) -> None:
        """Note that a file was looked into."""
        self.path(file).with_name("sound").touch()

    def note_libraries(self, file: LockedFile, machine: str, needs: LibraryNeeds) -> None:
        """Note what a file's libraries for ``machine`` bring and need, for `plan`, which installs nothing.

        A note that cannot be written is none: the cache may be somebody else's.
        """
        text = json.dumps({"brings": sorted(needs.brings), "needs": needs.needs}, sort_keys=True)
        note = self._library_note(file, machine)
        beside = note.with_name(f"{note.name}.{os.getpid()}")
        with suppress(OSError):
            beside.write_text(text, "utf-8")
            beside.replace(note)

    def libraries(self, file: LockedFile, machine: str) -> LibraryNeeds | None:
        """Return what ``note_libraries`` noted of a file that is here; None where there is no such note."""
        if not self.has(file):
            return None
        try:
            output = json.loads(self._library_note(file, machine).read_text("utf-8"))
            needs = {str(path): tuple(map(str, sonames)) for path, sonames in output["needs"].items()}
            return LibraryNeeds(file.filename, frozenset(map(str, output["brings"])), needs)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _library_note(self, file: LockedFile, machine: str) -> Path:
        return self.path(file).with_name(f"libraries-{machine}.json")

    @contextmanager
    def part(self, file: LockedFile) -> Iterator[BinaryIO]:
        """Open what there is of a file, to be read and appended to, while nobody else does."""
        path = self.path(file).with_name("part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as part:
            fcntl.flock(part, fcntl.LOCK_EX)
            yield part

    def keep(self, file: LockedFile, part: BinaryIO) -> None:
        """Make a whole and checked part the file; it is on the disk before it has its name."""
        part.flush()
        os.fsync(part.fileno())
        self.path(file).with_name("part").rename(self.path(file))


def nothing(done: int, total: int) -> None:
    """Report nothing."""


def fetch(
    lock: locks.Lock, cache: WheelCache, settings: InstallerSettings, *, report: Report = nothing
) -> dict[str, Path]:
    """Make sure that every file of ``lock`` is in ``cache``; return each package's file by the package's name.

    Raises ``FetchError`` where a server cannot be reached, a file has another hash than the lock says, or the disk is
    full. What was downloaded by then stays, and the next call goes on from there.
    """
    files = {package.name: package.file for package in lock.packages}
    missing = [file for file in dict.fromkeys(files.values()) if not cache.has(file)]
    here = {name: cache.path(file) for name, file in files.items()}
    if not missing:
        return here
    progress = _Progress(missing, report)
    with Downloads(settings) as downloads, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            # The largest first: they decide when all are done.
            ordered = sorted(missing, key=lambda file: file.size or 0, reverse=True)
            futures = [pool.submit(_fetch_one, file, cache, downloads, progress) for file in ordered]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        finally:
            progress.stopped.set()
            pool.shutdown(cancel_futures=True)
    progress.tell(force=True)
    return here


class _Progress:
    """Bytes of all downloads together."""

    def __init__(self, files: list[LockedFile], report: Report) -> None:
        self.stopped = Event()
        self._guard = Lock()
        self._totals = {file: file.size or 0 for file in files}
        self._done = dict.fromkeys(files, 0)
        self._report = report
        self._reported = 0.0

    def total(self, file: LockedFile, size: int) -> None:
        """Note a size that the server told."""
        with self._guard:
            self._totals[file] = size

    def add(self, file: LockedFile, count: int) -> None:
        """Count bytes of a file, negative when it starts again."""
        with self._guard:
            self._done[file] += count
        self.tell()

    def tell(self, *, force: bool = False) -> None:
        """Report, some times a second."""
        with self._guard:
            now = time.monotonic()
            if not force and now - self._reported < _REPORT_SECONDS:
                return
            self._reported = now
            done, total = sum(self._done.values()), sum(self._totals.values())
        if total:
            self._report(done, max(done, total))


def _fetch_one(file: LockedFile, cache: WheelCache, downloads: Downloads, progress: _Progress) -> None:
    try:
        with cache.part(file) as part:
            if cache.has(file):  # somebody else was faster
                return
            url = split_url(file.url)
            local = Path(unquote(url.path)) if url.scheme == "file" else None
            found = _copy(local, part, file, progress) if local else _download(file, part, downloads, progress)
            if found is None:
                return
            if found != file.sha256:
                part.truncate(0)
                raise FetchError(
                    f"{file.filename} from {file.url} has another hash than the lock says: {found}, not {file.sha256}.",
                    hint="The file was changed after it was locked, or on its way. Resolve again if you trust its index.",
                )
            cache.keep(file, part)
    except OSError as error:
        where = error.filename or cache.folder
        raise FetchError(
            f"{file.filename} cannot be kept in the wheel cache: {where}: {error.strerror}.",
            hint="Is there room on the disk? EFSPROV_CACHE names another folder for the cache.",
        ) from error
    except EfsprovError:
        progress.stopped.set()
        raise


def _copy(source: Path, part: BinaryIO, file: LockedFile, progress: _Progress) -> str:
    part.truncate(0)
    try:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, part, _CHUNK)
    except FileNotFoundError as error:
        raise FetchError(
            f"{source} is not on this machine.",
            hint="A wheel from a folder must lie where the release is built: name its folder there, or use an index.",
        ) from error
    progress.total(file, part.tell())
    progress.add(file, part.tell())
    digest = hashlib.sha256()
    part.seek(0)
    while piece := part.read(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _download(file: LockedFile, part: BinaryIO, downloads: Downloads, progress: _Progress) -> str | None:
    """Append the rest of the file and return the whole's hash; None when the run was stopped meanwhile.

    A connection that breaks off is taken up where it was, as long as each one brings something.
    """
    part.seek(0)
    digest = hashlib.sha256()
    while piece := part.read(_CHUNK):
        digest.update(piece)
    progress.add(file, part.tell())
    while not (file.size and part.tell() == file.size):
        before = part.tell()
        try:
            with downloads.open(file.url, before) as (response, offset):
                if offset != before:  # the server gives the whole file again
                    part.truncate(offset)
                    progress.add(file, offset - before)
                    digest = hashlib.sha256()
                progress.total(file, offset + int(response.headers.get("Content-Length") or 0))
                while piece := response.read1(_CHUNK):
                    part.write(piece)
                    digest.update(piece)
                    progress.add(file, len(piece))
                    if progress.stopped.is_set():
                        return None
            break
        except FetchError:
            if part.tell() <= before:
                raise
    return digest.hexdigest()
