"""Whether what lies on the root is what its manifests and its journal say."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from efsprov.core import filelist
from efsprov.core import manifest as manifests
from efsprov.core.errors import EfsprovError, IntegrityError, NotFoundError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Manifest
from efsprov.core.release_id import is_release_id
from efsprov.store.current import read_current, temporary_links
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import is_directory, read_regular
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publisher_lock import is_locked

OWN_FILES: Final = frozenset({manifests.NAME, filelist.NAME})
"""What lies in a release besides the files of its list."""
_CHUNK = 1 << 20  # one NFS READ at rsize=1048576
_THREADS = 16  # a look-up is a round trip: they overlap


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. ``path`` is relative to the channel; ``problem`` completes 'PATH ...'."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


def read_manifest(channel: Channel, release: str) -> Manifest:
    """Return a release's manifest; raises ``NotFoundError`` or ``IntegrityError``."""
    path = channel.release_path(release) / manifests.NAME
    with translate_os_errors("Reading the manifest", path):
        if not is_directory(channel.release_path(release)):
            raise NotFoundError(
                f"There is no release {release} in {channel.label}.",
                hint="`efsprov list` shows the releases that there are.",
            )
        try:
            text = read_regular(path)
        except FileNotFoundError:
            raise IntegrityError(
                f"{path} is missing.", hint="The release is damaged: roll back, or sync again."
            ) from None
    return manifests.parse(text, where=str(path))


def read_files(channel: Channel, release: str, manifest: Manifest) -> tuple[FileEntry, ...]:
    """Return a release's file list, held against the digest in its manifest; raises ``IntegrityError``."""
    path = channel.release_path(release) / filelist.NAME
    with translate_os_errors("Reading the file list", path):
        text = read_regular(path).decode("utf-8", "surrogateescape") if os.path.lexists(path) else ""
    if filelist.digest(text) != manifest.files_sha256:
        raise IntegrityError(
            f"{path} is not the file list that the manifest names.",
            hint="The release is damaged: roll back, or sync again.",
        )
    return filelist.parse(text, where=str(path))


def quick_check(channel: Channel, release: str) -> tuple[str, ...]:
    """Hold names, types and sizes of a release against its file list; return what is wrong, in words."""
    return tuple(str(finding) for finding in check_release(channel, release, full=False))


def check_release(
    channel: Channel, release: str, *, full: bool, progress: Callable[[int, int], None] | None = None
) -> tuple[Finding, ...]:
    """Check one release; ``full`` reads and hashes every file. ``progress`` gets (bytes done, bytes in all)."""
    where = f"releases/{release}"
    try:
        manifest = read_manifest(channel, release)
        files = read_files(channel, release, manifest)
    except EfsprovError as error:
        return (Finding(where, f"is damaged: {error.message}"),)
    path = channel.release_path(release)
    findings = []
    if manifest.id != release:
        findings.append(Finding(where, f"holds the manifest of {manifest.id}"))
    with translate_os_errors("Checking the release", path):
        present = dict(_walk(path))
    # Folders count too: an empty one on `sys.path` would be imported as a namespace package.
    expected = OWN_FILES | {f.path for f in files} | {str(p) for f in files for p in PurePosixPath(f.path).parents}
    findings += [Finding(f"{where}/{name}", "is not in the manifest") for name in present.keys() - expected]
    sound = []
    for entry in files:
        problem = _wrong_stat(present.get(entry.path), entry)
        if problem:
            findings.append(Finding(f"{where}/{entry.path}", problem))
        else:
            sound.append(entry)
    if full:
        findings += _wrong_content(path, where, sound, progress)
    return tuple(sorted(findings, key=str))


def check_links(channel: Channel) -> tuple[Finding, ...]:
    """Return the links that are in the place of folders of the channel."""
    with translate_os_errors("Looking for links", channel.path):
        return tuple(Finding(str(link), f"is a link to {os.readlink(link)}, not a folder") for link in channel.links())


def check_channel(channel: Channel, state: State | None = None) -> tuple[Finding, ...]:
    """Hold journal, folders and `current` against each other; return what a repair would put right or a reader lacks.

    A link in the place of one of the channel's folders is all that is returned: nothing behind it is looked at.
    ``state`` saves reading the journal when it was read just now. While a publisher is at work, what it has in hand is
    no finding.
    """
    if links := check_links(channel):
        return links
    findings = [
        Finding(str(link), "is a link where folders of channels lie: nothing follows it")
        for link in channel.root.links(kind=channel.kind)
    ]
    at_work, present = is_locked(channel), set(channel.release_ids())
    if state is None or not present <= state.releases.keys():
        state = read_state(channel)  # after the folders: what was published in between is in it
    for release in sorted(present | state.releases.keys()):
        known = state.releases.get(release)
        if release not in present and known and not known.pruned:
            findings.append(Finding(f"releases/{release}", "is in the journal, but not there"))
        elif release in present and not at_work and not known:
            findings.append(Finding(f"releases/{release}", "is there, but not in the journal"))
        elif release in present and not at_work and known and known.pruned:
            findings.append(Finding(f"releases/{release}", "was pruned, but is still there"))
    try:
        projected = read_current(channel)
    except IntegrityError as error:
        findings.append(Finding("current", f"is broken: {error.message}"))
    else:
        if projected != state.current:
            findings.append(Finding("current", f"names {projected}, the journal's last activation {state.current}"))
    return (*findings, *(() if at_work else _leftovers(channel)))


def _leftovers(channel: Channel) -> Iterator[Finding]:
    with translate_os_errors("Checking the channel", channel.path):
        for name in temporary_links(channel):
            yield Finding(name, "was left by a writer that was killed")
        for folder, problem in (
            (channel.staging, "was left by a sync that was killed"),
            (channel.trash, "waits to be removed"),
        ):
            for name in sorted(os.listdir(folder)) if is_directory(folder) else ():
                yield Finding(f"{folder.name}/{name}", problem)
        for name in sorted(os.listdir(channel.releases)) if is_directory(channel.releases) else ():
            if not is_release_id(name) or not is_directory(channel.release_path(name)):
                yield Finding(f"releases/{name}", "is not a release")


def _walk(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield (relative path, lstat) of all that lies below, listing folders in parallel, level by level."""
    level = [""]
    with ThreadPoolExecutor(_THREADS) as pool:
        while level:
            below: list[str] = []
            for folder, entries in pool.map(lambda p: (p, _scan(top / p)), level):
                for name, status in entries:
                    path = f"{folder}/{name}" if folder else name
                    if stat.S_ISDIR(status.st_mode):
                        below.append(path)
                    yield path, status
            level = below


def _scan(folder: Path) -> list[tuple[str, os.stat_result]]:
    """List a folder; one that vanishes meanwhile holds nothing, and so its files are missing."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return []


def _wrong_stat(status: os.stat_result | None, entry: FileEntry) -> str:
    if status is None:
        return "is missing"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size != entry.size:
        return f"has {status.st_size} bytes instead of {entry.size}"
    return ""


def _wrong_content(
    path: Path, where: str, files: list[FileEntry], progress: Callable[[int, int], None] | None
) -> list[Finding]:
    total, done, findings = sum(f.size for f in files), 0, []
    with ThreadPoolExecutor(_THREADS) as pool:
        for entry, problem in zip(files, pool.map(lambda f: _wrong_hash(path / f.path, f), files), strict=True):
            done += entry.size
            if progress:
                progress(done, total)
            if problem:
                findings.append(Finding(f"{where}/{entry.path}", problem))
    return findings


def _wrong_hash(path: Path, entry: FileEntry) -> str:
    try:
        return "" if sha256_of(path) == entry.sha256 else "has other content than its SHA-256 says"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(min(_CHUNK, max(1, os.fstat(file.fileno()).st_size))))
        while n := file.readinto(buffer):
            digest.update(buffer[:n])
    return digest.hexdigest()
