"""The pipeline where the root is mounted: one request in, one release out."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

from efsprov.core import filelist
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import EfsprovError
from efsprov.core.events import Emit, Suspended
from efsprov.core.history import State
from efsprov.core.manifest import Builder, Figures, Manifest
from efsprov.core.target import Target
from efsprov.pipeline.compose import Composed, compose
from efsprov.pipeline.installer_settings import InstallerSettings
from efsprov.pipeline.place import place
from efsprov.pipeline.scratch import scratch_folder
from efsprov.pipeline.steps import Steps
from efsprov.store.copy_record import record_path
from efsprov.store.current import project
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel, Root
from efsprov.store.publish import activate, activate_published, publish
from efsprov.store.publisher_lock import PublisherLock, publisher_lock
from efsprov.store.removal import remove_tree
from efsprov.store.repair import prepare_for_publishing
from efsprov.store.verify import quick_check, read_manifest
from efsprov.store.writer import Writer


def build(
    request: BuildRequest, *, emit: Emit, writer: Writer | None = None, settings: InstallerSettings | None = None
) -> BuildResult:
    """Make the release that ``request`` asks for, on the root that is mounted here, and tell ``emit`` how it goes.

    Raises an ``EfsprovError``; then, and when interrupted, the root is as it was. A run that is killed, or suspended by
    ``emit``, leaves its staging, with which the next run of the same lock goes on. The same request again, whenever it
    comes, makes no second release and does not undo what was decided since. ``settings`` say how downloads reach their
    servers, by default what this machine's environment says.
    """
    root = Root.open(Path(request.root), writing=True)
    target = Target.parse(request.target)
    channel = root.channel(request.channel, target.name, writer=writer)
    steps = Steps(emit)
    if channel.exists:
        state = read_state(channel)
        same = find_same(channel, state, request.lock_digest)
        if same and _is_done(channel, state, same, request):
            return _use_existing(channel, same, request, steps)

    def on_wait(holder: str) -> None:
        steps.note("publish", f"{channel.label} is being published by {holder}: waiting until that is done.")

    with publisher_lock(channel, wait=request.wait, on_wait=on_wait) as lock:
        prepared = prepare_for_publishing(lock, keep_staging=request.lock_digest[:16])
        for line in prepared.lines():
            steps.note("publish", line)
        if same := find_same(channel, prepared.state, request.lock_digest):
            return _use_existing(channel, same, request, steps)  # whom we waited for has just published it, perhaps
        return _build(lock, request, target, prepared.staging, prepared.state, steps, settings=settings)


def find_same(channel: Channel, state: State, lock_digest: str) -> str | None:
    """Return the release that a build of this lock would only make again: the current one, or else the newest usable."""
    candidates = sorted(
        (r for r in state.live if r.bad is None), key=lambda r: (r.id == state.current, r.id), reverse=True
    )
    for release in candidates:
        if not release.id.endswith(lock_digest[:8]):  # an id ends with its lock's digest: no need to open the others
            continue
        try:
            manifest = read_manifest(channel, release.id)
        except EfsprovError:
            continue  # damaged: it is built anew
        if manifest.lock_digest == lock_digest and not quick_check(channel, release.id):
            return release.id
    return None


def _is_done(channel: Channel, state: State, release: str, request: BuildRequest) -> bool:
    """Tell whether nothing is left to decide: the release is current, or is not to be, or was by this very request.

    That request arrives again, and somebody may have rolled back since. Any other release that is not current may be
    on its way there: its publisher holds the lock.
    """
    if not request.activate or state.current == release:
        return True
    return bool(state.releases[release].activated) and read_manifest(channel, release).tx == request.run


def _use_existing(channel: Channel, release: str, request: BuildRequest, steps: Steps) -> BuildResult:
    manifest = read_manifest(channel, release)
    state = read_state(channel)
    before, done = state.current, _is_done(channel, state, release, request)
    if not done:
        with steps.step("activate") as step:
            before = activate(channel, release)
            step.outcome = release
    elif request.activate:
        project(channel)  # who made it current may have died between the journal and the swap
    outcome: Literal["published", "unchanged", "reactivated"] = "unchanged" if done else "reactivated"
    if manifest.tx == request.run:
        outcome = "published"
    return BuildResult(
        outcome=outcome,
        release=release,
        path=str(channel.release_path(release)),
        activated=not done or state.current == release,
        before=before if before != release else None,
        smoke=manifest.smoke,
        figures=manifest.figures,
    )


def _build(
    lock: PublisherLock,
    request: BuildRequest,
    target: Target,
    staging: Path,
    since: State,
    steps: Steps,
    *,
    settings: InstallerSettings | None,
) -> BuildResult:
    channel = lock.channel
    with _removed_on_failure(channel, staging), scratch_folder() as scratch:
        composed = compose(request, target, scratch, steps, settings=settings)
        figures = place(lock, composed.tree, composed.files, staging, since, steps)
        manifest = _manifest(request, channel, composed, figures, steps)
        with steps.step("publish") as step:
            manifest = publish(lock, staging, filelist.dump(composed.files), manifest, since=since)
            step.outcome = manifest.id
    before = since.current
    if request.activate:
        with steps.step("activate") as step:
            before = activate_published(channel, manifest.id, since=since)
            step.outcome = manifest.id
    return BuildResult(
        outcome="published",
        release=manifest.id,
        path=str(channel.release_path(manifest.id)),
        activated=request.activate,
        before=before,
        smoke=manifest.smoke,
        figures=manifest.figures.model_copy(update={"seconds": steps.seconds}),
    )


@contextmanager
def _removed_on_failure(channel: Channel, staging: Path) -> Iterator[None]:
    """A run that fails or is interrupted leaves no staging; one that is killed leaves it for the next to go on with."""
    try:
        yield
    except Suspended:
        raise
    except BaseException:
        remove_tree(channel.ops, staging)
        remove_tree(channel.ops, record_path(staging))
        raise


def _manifest(request: BuildRequest, channel: Channel, composed: Composed, figures: Figures, steps: Steps) -> Manifest:
    return Manifest(
        id="",
        tx=request.run,
        channel=channel.name,
        target=channel.target,
        created=channel.writer.clock(),
        requirements=request.requirements,
        lock_digest=request.lock_digest,
        files_sha256="",
        distributions=composed.distributions,
        builder=Builder(
            kind=request.builder,
            host=platform.node(),
            python=composed.python,
            efsprov=installed_version("efsprov"),
        ),
        smoke=composed.smoke,
        figures=figures.model_copy(update={"seconds": dict(steps.seconds)}),
        left_out=composed.left_out,
        notes=request.notes,
    )
