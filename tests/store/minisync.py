"""A sync as the pipeline does it, of trees of a few files that nobody needs to build."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from efsprov.core import filelist
from efsprov.core.errors import EfsprovError
from efsprov.core.events import SILENT
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Builder, Manifest
from efsprov.pipeline.publish.publish_once import publish_once
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.copying.copy import CopyLimits, copy_tree
from efsprov.store.copying.hard_links import LinkIndex, LinkSource
from efsprov.store.fs.fileops import FileOps
from efsprov.store.layout import Channel, Root
from efsprov.store.publisher_lock import PublisherLock
from efsprov.store.verify import read_files, read_manifest
from efsprov.store.writer import Writer

NAME = "framework"
TARGET = "python3.11-x86_64"
SHARED = b"def answer():\n    return 42\n"


@dataclass(frozen=True)
class Build:
    """What a build left on the local disk: a tree, its file list, and the digest of its lock."""

    number: int
    source: Path
    files: tuple[FileEntry, ...]

    @property
    def lock_digest(self) -> str:
        return hashlib.sha256(str(self.number).encode()).hexdigest()


def build(folder: Path, number: int, *, extra: int = 0, modules: int = 0) -> Build:
    """Make the tree of a framework whose version is ``number``: two modules, ``modules`` more and ``extra`` files of data."""
    contents = {
        "site/framework/__init__.py": f"NUMBER = {number}\n".encode(),
        "site/framework/part.py": SHARED,
        "pylock.toml": f"# lock {number}\n".encode(),
        **{f"site/framework/lazy_{n}.py": f"VALUE = {number}, {n}\n".encode() for n in range(modules)},
        **{f"site/framework/data/{n}.bin": f"{number}/{n}".encode() * 10 for n in range(extra)},
    }
    source = folder / f"build-{number}"
    files = []
    for name, content in contents.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
        files.append(FileEntry(name, len(content), hashlib.sha256(content).hexdigest()))
    return Build(number, source, tuple(sorted(files)))


def open_channel(root: Path, *, ops: FileOps | None = None, name: str = NAME, **writer) -> Channel:
    """The channel of a root, written to through ``ops``; ``writer`` as in `Writer`."""
    made = Writer(ops=ops or FileOps(), **writer)
    return Root.open(root, writing=True).channel(name, TARGET, writer=made)


def sync(channel: Channel, built: Build, *, activate: bool = True, wait: bool = True, again: bool = False) -> str:
    """Publish a build, unless a release of the same lock is there, and make it current. Returns the release's id."""
    steps = ProgressReporter(SILENT)
    return publish_once(channel, Mini(built), steps, activate=activate, wait=wait, again=again).manifest.id


@dataclass(frozen=True)
class Mini:
    """A candidate whose tree is on the local disk already, and which is copied with few threads."""

    built: Build
    run: str = ""

    @property
    def digest(self) -> str:
        return self.built.lock_digest

    def read(self, channel: Channel, release: str) -> Manifest:
        return read_manifest(channel, release)

    def check(self, channel: Channel, state: State) -> None:
        pass

    def make(self, lock: PublisherLock, staging: Path, since: State) -> tuple[str, Manifest]:
        channel = lock.channel
        copy_tree(
            self.built.source,
            staging,
            self.built.files,
            ops=channel.ops,
            links=_links(channel, self.built, since),
            check=lock.assert_held,
            limits=CopyLimits(workers=2, buffers=1),
        )
        return filelist.dump(self.built.files), draft(channel, self.built)


def draft(channel: Channel, built: Build) -> Manifest:
    """A manifest that `publish` completes."""
    return Manifest(
        id="",
        tx=channel.writer.new_tx(),
        channel=channel.name,
        target=channel.target,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        lock_digest=built.lock_digest,
        files_sha256="",
        builder=Builder(kind="local", host="here", python="3.11", efsprov="0"),
    )


def _links(channel: Channel, built: Build, state: State) -> LinkIndex:
    releases = []
    for release in state.live[-1:]:
        with suppress(EfsprovError):
            manifest = read_manifest(channel, release.id)
            files = read_files(channel, release.id, manifest)
            releases.append((LinkSource.of(channel.release_path(release.id)), files))
    return LinkIndex.build(built.files, releases)
