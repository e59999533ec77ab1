"""Places a release from a bundle on a root: what the root has is linked, the rest is asked for and written at once.

Nothing of a bundle is believed but its digest. That names the manifest, which names the config, which names the file list,
which names every file: each is held against its digest before the release gets a name. Headers of archives are not read.
"""

import io
import platform
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import ValidationError

from efsprov.bundle.blobs import Bundle, read_document
from efsprov.bundle.layers import PLACES_NAME, TOP, read_places
from efsprov.bundle.tree import BundleTree
from efsprov.core import filelist
from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Manifest
from efsprov.pipeline.publish.place import copy_to_staging
from efsprov.pipeline.publish.publish_once import Publication, publish_once
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.copying.copy import CopyLimits
from efsprov.store.layout import Channel, Kind
from efsprov.store.publisher_lock import PublisherLock
from efsprov.store.verify import OWN_FILES

M = TypeVar("M", bound=Manifest)
_FIRST_LAYER: Final = 256 << 20  # the file list and small files: a framework's is some 20 MB
_MODES: Final = frozenset({0o644, 0o755})
_WORKERS: Final = 24


@dataclass(frozen=True)
class Contents(Generic[M]):
    """What a bundle holds: the release, as a manifest without what the run of placing it fills in; its files, and where."""

    bundle: Bundle
    manifest: M
    listed: str
    files: tuple[FileEntry, ...]
    places: Mapping[str, tuple[int, int]]


def read_contents(bundle: Bundle, kind: type[M]) -> Contents[M]:
    """Read what a bundle holds; ``kind`` is the manifest's class. Raises ``IntegrityError`` for what no root can hold."""
    manifest = _manifest(bundle, kind)
    first = read_document(bundle.place, bundle.manifest.layers[0], where=bundle.name, most=_FIRST_LAYER)
    listed, places = _members(first, bundle)
    if filelist.digest(listed) != manifest.files_sha256:
        raise IntegrityError(
            f"The file list of {bundle.name} is not the one that its config names.", hint="Push the release again."
        )
    files = filelist.parse(listed, where=f"The file list of {bundle.name}")
    _refuse_unfit(bundle, files)
    sizes = [layer.size for layer in bundle.manifest.layers]
    return Contents(bundle, manifest, listed, files, read_places(places, files, sizes))


def kind_of(bundle: Bundle) -> Kind:
    """Tell what a bundle holds; raises ``IntegrityError`` for something unknown."""
    kind = bundle.described.release.get("kind")
    if kind not in {"deps", "model"}:
        raise IntegrityError(f"{bundle.name} holds a release of the kind {kind!r}.", hint="A newer efsprov made it.")
    return "deps" if kind == "deps" else "model"


@dataclass(frozen=True)
class BundleCandidate(Generic[M]):
    """What is placed from a bundle; see ``Candidate``."""

    contents: Contents[M]
    run: str
    steps: ProgressReporter
    reader: Callable[[Channel, str], M]

    @cached_property
    def digest(self) -> str:
        """See ``Candidate``."""
        return self.contents.manifest.lock_digest

    def read(self, channel: Channel, release: str) -> M:
        """See ``Candidate``."""
        return self.reader(channel, release)

    def check(self, channel: Channel, state: State) -> None:
        """Whatever the channel is by now, the bundle stands."""

    def make(self, lock: PublisherLock, staging: Path, since: State) -> tuple[str, M]:
        """Fill staging from the bundle."""
        channel, contents = lock.channel, self.contents
        with BundleTree(contents.bundle, contents.places) as tree:
            limits = CopyLimits(workers=_WORKERS, buffers=8)
            figures = copy_to_staging(lock, tree, contents.files, staging, since, self.steps, limits=limits)
        return contents.listed, contents.manifest.model_copy(
            update={"tx": self.run, "channel": channel.name, "created": channel.writer.clock(), "figures": figures}
        )


def pull(
    channel: Channel,
    contents: Contents[M],
    steps: ProgressReporter,
    *,
    run: str,
    reader: Callable[[Channel, str], M],
    activate: bool,
    wait: bool = True,
    again: bool = False,
) -> Publication[M]:
    """Make a bundle a release of ``channel``, and current if ``activate`` says so; the same bundle makes one release.

    ``run`` is the id of this request, ``reader`` reads a release's manifest. Raises an ``EfsprovError``; then the channel's
    releases are as they were.
    """
    candidate = BundleCandidate(contents, run, steps, reader)
    return publish_once(channel, candidate, steps, activate=activate, wait=wait, again=again)


def _manifest(bundle: Bundle, kind: type[M]) -> M:
    release = dict(bundle.described.release)
    builder = {"kind": "bundle", "host": platform.node(), "python": "", "efsprov": installed_version("efsprov")}
    said = release.get("builder")
    release["builder"] = {**builder, **(said if isinstance(said, dict) else {})}
    release |= {"id": "", "tx": "", "created": "1970-01-01T00:00:00Z"}
    try:
        return kind.model_validate(release)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise IntegrityError(
            f"The config of {bundle.name} describes no release: {'.'.join(map(str, first['loc']))} {first['msg']}.",
            hint="It is damaged, or a newer efsprov made it.",
        ) from error


def _members(first: bytes, bundle: Bundle) -> tuple[str, str]:
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(first), mode="r:") as archive:
            for name in (filelist.NAME, PLACES_NAME):
                member = archive.extractfile(f"{TOP}/{name}")
                found.append(member.read() if member is not None else b"")
    except (tarfile.TarError, KeyError, ValueError, EOFError, OverflowError) as error:
        raise IntegrityError(
            f"The first layer of {bundle.name} has no file list.", hint="It is no bundle of efsprov, or damaged."
        ) from error
    return found[0].decode("utf-8", "surrogateescape"), found[1].decode("ascii", "replace")


def _refuse_unfit(bundle: Bundle, files: tuple[FileEntry, ...]) -> None:
    for entry in files:
        reason = filelist.unfit_for_a_root(entry.path)
        if entry.path in OWN_FILES:
            reason = "that is a name of efsprov's own"
        elif entry.mode not in _MODES:
            reason = f"its mode is {entry.mode:o}"
        if reason:
            raise IntegrityError(
                f"{bundle.name} holds {entry.path!r}, which no release may: {reason}.",
                hint="Nothing was changed. efsprov makes no such bundle: find out who did.",
            )
