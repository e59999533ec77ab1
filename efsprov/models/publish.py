"""Publishes a folder of files as a release of a model, by the same steps and with the same promises as dependencies."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

from efsprov.core import filelist
from efsprov.core.errors import EfsprovError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Builder, Figures
from efsprov.models.manifest import ModelFacts, ModelManifest, read_model_manifest
from efsprov.pipeline.place import place
from efsprov.pipeline.steps import Steps
from efsprov.store.current import project
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publish import activate, activate_published, publish
from efsprov.store.publisher_lock import PublisherLock, publisher_lock
from efsprov.store.repair import prepare_for_publishing
from efsprov.store.staging import discard_staging
from efsprov.store.verify import quick_check

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
        said = self.facts.model_dump(mode="json", exclude={"origin", "sha256", "trusted"})
        if said["lineage"]:
            said["lineage"].pop("report")  # latencies differ from run to run
        text = json.dumps([said, sorted(self.meta.items())], sort_keys=True)
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
    steps: Steps,
    *,
    activate: bool,
    wait: bool,
) -> Published:
    """Publish what lies in ``top``'s payload folder, listed in ``entries`` (paths relative to that folder).

    Where ``top`` is on the root's file system the files are moved, else copied. Raises an ``EfsprovError``; then the
    root is as it was.
    """
    files = tuple(FileEntry(f"{channel.payload}/{e.path}", e.size, e.sha256, 0o644) for e in entries)
    payload = _Payload(top, files, draft, draft.digest(files))
    if channel.exists:
        state = read_state(channel)
        if later := draft.superseded_by(channel, state):
            return _left_alone(channel, later)
        same = _find_same(channel, state, payload.digest)
        if same and (not activate or same == state.current):  # else it may be on its way: its publisher holds the lock
            return _use(channel, same, steps, wanted=activate)

    def on_wait(holder: str) -> None:
        steps.note("publish", f"{channel.label} is being published by {holder}: waiting until that is done.")

    with publisher_lock(channel, wait=wait, on_wait=on_wait) as lock:
        prepared = prepare_for_publishing(lock, keep_staging=payload.digest[:16])
        for line in prepared.lines():
            steps.note("publish", line)
        if later := draft.superseded_by(channel, prepared.state):
            return _left_alone(channel, later)
        if same := _find_same(channel, prepared.state, payload.digest):
            return _use(channel, same, steps, wanted=activate)  # whom we waited for has just published it, perhaps
        with _removed_on_failure(channel, prepared.staging):
            manifest = _publish(lock, payload, prepared.staging, prepared.state, steps)
        return _activate(channel, manifest, prepared.state, steps, wanted=activate)


@dataclass(frozen=True)
class _Payload:
    """What becomes the release: ``files`` below ``top``, paths as in the release."""

    top: Path
    files: tuple[FileEntry, ...]
    draft: ModelDraft
    digest: str


def _publish(lock: PublisherLock, payload: _Payload, staging: Path, since: State, steps: Steps) -> ModelManifest:
    figures = place(lock, payload.top, payload.files, staging, since, steps)
    manifest = _manifest(lock.channel, payload, figures, steps)
    with steps.step("publish") as step:
        published = publish(lock, staging, filelist.dump(payload.files), manifest, since=since)
        step.outcome = published.id
    return manifest.model_copy(update=published.model_dump(include={"id", "created", "files_sha256"}))


def _activate(channel: Channel, manifest: ModelManifest, since: State, steps: Steps, *, wanted: bool) -> Published:
    before = since.current
    if wanted:
        with steps.step("activate") as step:
            before = activate_published(channel, manifest.id, since=since)
            step.outcome = manifest.id
    return Published("published", manifest.id, channel.release_path(manifest.id), wanted, before, manifest)


def _use(channel: Channel, release: str, steps: Steps, *, wanted: bool) -> Published:
    before = read_state(channel).current
    outcome: Outcome = "unchanged"
    if wanted and before != release:
        with steps.step("activate") as step:
            before, outcome = activate(channel, release), "reactivated"
            step.outcome = release
    elif wanted:
        project(channel)  # who made it current may have died between the journal and the swap
    return Published(
        outcome=outcome,
        release=release,
        path=channel.release_path(release),
        activated=wanted or before == release,
        before=before if before != release else None,
        manifest=read_model_manifest(channel, release),
    )


def _left_alone(channel: Channel, release: str) -> Published:
    current = read_state(channel).current == release
    manifest = read_model_manifest(channel, release)
    return Published("superseded", release, channel.release_path(release), current, None, manifest)


def _find_same(channel: Channel, state: State, digest: str) -> str | None:
    """Return the release that was made of the same: the current one, or else the newest that can be used."""
    usable = (r.id for r in state.live if r.bad is None and r.id.endswith(digest[:8]))
    for release in sorted(usable, key=lambda r: (r == state.current, r), reverse=True):
        try:
            manifest = read_model_manifest(channel, release)
        except EfsprovError:
            continue  # damaged: it is published anew
        if manifest.lock_digest == digest and not quick_check(channel, release):
            return release
    return None


def _manifest(channel: Channel, payload: _Payload, figures: Figures, steps: Steps) -> ModelManifest:
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
        figures=figures.model_copy(update={"seconds": dict(steps.seconds)}),
        meta=dict(payload.draft.meta),
        model=payload.draft.facts,
    )


@contextmanager
def _removed_on_failure(channel: Channel, staging: Path) -> Iterator[None]:
    """A run that fails or is interrupted leaves no staging; one that is killed leaves it for the next to go on with."""
    try:
        yield
    except BaseException:
        discard_staging(channel, staging)
        raise
