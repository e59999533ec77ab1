"""The pipeline where the root is mounted: one request in, one release out."""

import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path

from efsprov.core import filelist
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.events import Emit
from efsprov.core.history import State
from efsprov.core.lock import parse_lock
from efsprov.core.manifest import Builder, Figures, Manifest
from efsprov.core.target import Target
from efsprov.pipeline.compose import Composed, compose
from efsprov.pipeline.publish.place import place
from efsprov.pipeline.publish.publish_once import publish_once
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import scratch_folder
from efsprov.store.layout import Channel, Root
from efsprov.store.publisher_lock import PublisherLock
from efsprov.store.verify import read_manifest
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
    steps = ProgressReporter(emit)
    built = BuildCandidate(request, target, steps, settings)
    done = publish_once(channel, built, steps, activate=request.activate, wait=request.wait, again=request.again)
    manifest = done.manifest
    return BuildResult(
        outcome=done.outcome,
        release=manifest.id,
        path=str(channel.release_path(manifest.id)),
        activated=done.activated,
        before=done.before,
        smoke=manifest.smoke,
        figures=manifest.figures.model_copy(update={"seconds": {**manifest.figures.seconds, **steps.seconds}}),
    )


@dataclass(frozen=True)
class BuildCandidate:
    """What a request builds: composed in a scratch folder, then placed in staging."""

    request: BuildRequest
    target: Target
    steps: ProgressReporter
    settings: InstallerSettings | None

    @cached_property  # for it the lock is parsed
    def digest(self) -> str:
        """The digest of the lock, and of whatever else changes the files."""
        return self.request.lock_digest

    @property
    def run(self) -> str:
        """The run that asks for it."""
        return self.request.run

    def read(self, channel: Channel, release: str) -> Manifest:
        """Return a release's manifest."""
        return read_manifest(channel, release)

    def check(self, channel: Channel, state: State) -> None:
        """Whatever the channel is by now, the request stands."""

    def make(self, lock: PublisherLock, staging: Path, since: State) -> tuple[str, Manifest]:
        """Compose the release and bring it into ``staging``."""
        with scratch_folder() as scratch:
            composed = compose(self.request, self.target, scratch, self.steps, settings=self.settings)
            figures = place(lock, composed.tree, composed.files, staging, since, self.steps)
        return filelist.dump(composed.files), self._manifest(lock.channel, composed, figures)

    def _manifest(self, channel: Channel, composed: Composed, figures: Figures) -> Manifest:
        request = self.request
        return Manifest(
            id="",
            tx=request.run,
            channel=channel.name,
            target=channel.target,
            created=channel.writer.clock(),
            requirements=request.requirements,
            lock_digest=self.digest,
            packages_digest=parse_lock(request.lock).digest,
            files_sha256="",
            distributions=composed.distributions,
            builder=Builder(
                kind=request.builder,
                host=platform.node(),
                python=composed.python,
                efsprov=installed_version("efsprov"),
            ),
            smoke=composed.smoke,
            figures=figures.model_copy(update={"seconds": dict(self.steps.seconds)}),
            left_out=composed.left_out,
            notes=request.notes,
        )
