"""Publishes a folder of files as a release of a model, by the same steps and with the same promises as dependencies."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

from efsprov.core import filelist
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Builder, Figures
from efsprov.models.manifest import ModelFacts, ModelManifest, read_model_manifest
from efsprov.pipeline.publish.place import place
from efsprov.pipeline.publish.publish_once import publish_once
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import project
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publisher_lock import PublisherLock

Outcome = Literal["published", "unchanged", "reactivated", "superseded"]


@dataclass(frozen=True)
class ModelDraft:
    """What the manifest is to say besides the files. ``requirements`` are shown as what the release was made from.

    ``superseded_by`` is asked while nobody else publishes: the release that it names makes this one needless.
    """

    facts: ModelFacts
    meta: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    superseded_by: Callable[[Channel, State], str | None] = lambda channel, state: None  # noqa: ARG005

    def digest(self, entries: Sequence[FileEntry]) -> str:
        """Return what makes two releases the same: the files and what is said of them, but not where they came from."""
        output = self.facts.model_dump(mode="json", exclude={"origin", "sha256", "trusted"})
        if output["lineage"]:
            output["lineage"].pop("report")  # latencies differ from run to run
        text = json.dumps([output, sorted(self.meta.items())], sort_keys=True)
        return filelist.digest(filelist.dump(entries) + text)


@dataclass(frozen=True)
class Published:
    """``outcome``: a release was made, the current one is the same already, a published one was made current, or one
    that is later stays as it is.
    """

    outcome: Outcome
    release: str
    path: Path
    activated: bool
    before: str | None
    manifest: ModelManifest


def publish_model(
    channel: Channel,
    top: Path,
    entries: Sequence[FileEntry],
    draft: ModelDraft,
    steps: ProgressReporter,
    *,
    activate: bool,
    wait: bool,
    again: bool = False,
) -> Published:
    """Publish what lies in ``top``'s payload folder, listed in ``entries`` (paths relative to that folder).

    Where ``top`` is on the root's file system the files are moved, else copied. Raises an ``EfsprovError``; then the
    root is as it was.
    """
    files = tuple(FileEntry(f"{channel.payload}/{e.path}", e.size, e.sha256, 0o644) for e in entries)
    try:
        done = publish_once(
            channel, _Payload(top, files, draft, steps), steps, activate=activate, wait=wait, again=again
        )
    except _SupersededError as error:
        return _left_alone(channel, error.release)
    manifest = done.manifest
    return Published(
        done.outcome, manifest.id, channel.release_path(manifest.id), done.activated, done.before, manifest
    )


class _SupersededError(Exception):
    def __init__(self, release: str) -> None:
        super().__init__(release)
        self.release = release


@dataclass(frozen=True)
class _Payload:
    """What becomes the release: ``files`` below ``top``, paths as in the release."""

    top: Path
    files: tuple[FileEntry, ...]
    draft: ModelDraft
    steps: ProgressReporter
    run: str = ""

    @cached_property
    def digest(self) -> str:
        return self.draft.digest(self.files)

    def read(self, channel: Channel, release: str) -> ModelManifest:
        return read_model_manifest(channel, release)

    def check(self, channel: Channel, state: State) -> None:
        if later := self.draft.superseded_by(channel, state):
            raise _SupersededError(later)

    def make(self, lock: PublisherLock, staging: Path, since: State) -> tuple[str, ModelManifest]:
        figures = place(lock, self.top, self.files, staging, since, self.steps)
        return filelist.dump(self.files), _manifest(lock.channel, self, figures)


def _left_alone(channel: Channel, release: str) -> Published:
    project(channel)  # who made it current may have died between the journal and the swap
    current = read_state(channel).current == release
    manifest = read_model_manifest(channel, release)
    return Published("superseded", release, channel.release_path(release), current, None, manifest)


def _manifest(channel: Channel, payload: _Payload, figures: Figures) -> ModelManifest:
    try:
        own = installed_version("efsprov")
    except PackageNotFoundError:  # a function's package holds the modules without their metadata
        own = ""
    return ModelManifest(
        id="",
        tx=channel.writer.new_tx(),
        kind="model",
        channel=channel.name,
        created=channel.writer.clock(),
        requirements=payload.draft.requirements,
        lock_digest=payload.digest,
        files_sha256="",
        builder=Builder(
            kind="local",
            host=platform.node(),
            python=f"CPython {platform.python_version()}",
            efsprov=own,
        ),
        figures=figures.model_copy(update={"seconds": dict(payload.steps.seconds)}),
        meta=dict(payload.draft.meta),
        model=payload.draft.facts,
    )
