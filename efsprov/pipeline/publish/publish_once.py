"""One release of one content: found on the root, or made under the publisher lock, and made current.

Dependencies and models are published by this. What differs between them, a `Candidate` says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from efsprov.core.errors import EfsprovError
from efsprov.core.events import Suspended
from efsprov.core.history import State, fold
from efsprov.core.manifest import Manifest
from efsprov.core.objections import objection
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import project
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publish import activate_published, publish, refuse_foreign
from efsprov.store.publisher_lock import PublisherLock, is_locked, publisher_lock
from efsprov.store.repair import RepairReport, is_tidy, prepare_for_publishing
from efsprov.store.staging import discard_staging
from efsprov.store.verify import quick_check

Outcome = Literal["published", "unchanged", "reactivated"]
M = TypeVar("M", bound=Manifest)
M_co = TypeVar("M_co", bound=Manifest, covariant=True)


class Candidate(Protocol[M_co]):
    """What could become a release."""

    @property
    def digest(self) -> str:
        """What makes two of them the same; SHA-256 in hex."""
        ...

    @property
    def run(self) -> str:
        """The request that asks for it, where one may arrive twice, else "": its release has this transaction id."""
        ...

    def read(self, channel: Channel, release: str) -> M_co:
        """Return a release's manifest; raises an ``EfsprovError``."""
        ...

    def check(self, channel: Channel, state: State) -> None:
        """Raise where the channel, as it is now, should be left alone."""
        ...

    def make(self, lock: PublisherLock, staging: Path, since: State) -> tuple[str, M_co]:
        """Fill ``staging``; return the text of its file list, and a manifest for ``publish`` to complete."""
        ...


@dataclass(frozen=True)
class Publication(Generic[M]):
    """``outcome``: a release was made, the current one is the same already, or a published one was made current.

    ``before`` is the release that was current when this began, None where it is this one, or there was none.
    """

    outcome: Outcome
    activated: bool
    before: str | None
    manifest: M


def publish_once(
    channel: Channel,
    candidate: Candidate[M],
    steps: ProgressReporter,
    *,
    activate: bool,
    wait: bool,
    again: bool = False,
) -> Publication[M]:
    """Publish ``candidate``, unless a release of the same digest is there, and make it current if ``activate`` says so.

    What was marked bad is refused, and what somebody rolled back from, unless ``again`` says otherwise. Raises an
    ``EfsprovError`` or what the candidate raises; then the channel's releases are as they were. Where nothing is left to do, neither here nor of what killed writers left, nobody is waited for.
    """
    requested = read_state(channel) if channel.exists else fold(())
    if channel.exists:
        candidate.check(channel, requested)
        same = find_same(channel, requested, candidate.digest, candidate.read)
        if same and _is_done(requested, same, candidate, activate=activate):
            _clear_away(channel, requested, steps)
            if activate:
                project(channel)  # who made it current may have died between the journal and the swap
            return _found(requested, same, candidate)
        _refuse_unwanted(channel, requested, candidate, again=again or not activate)

    def on_wait(holder: str) -> None:
        steps.note("publish", f"{channel.label} is being published by {holder}: waiting until that is done.")

    with publisher_lock(channel, wait=wait, on_wait=on_wait) as lock:
        prepared = prepare_for_publishing(lock, keep_staging=candidate.digest[:16])
        _tell(prepared, steps)
        state = prepared.state
        with _discarded_on_failure(channel, prepared.staging):
            candidate.check(channel, state)
            # Marks alone: a rollback meanwhile is a conflict, see `_activate`.
            _refuse_unwanted(channel, state, candidate, again=True)
            same = find_same(channel, state, candidate.digest, candidate.read)
            if same is None:
                manifest = _make(lock, prepared.staging, state, candidate, steps)
                if activate:
                    _activate(channel, manifest.id, steps, requested=requested, since=state)
                return Publication("published", activated=activate, before=state.current, manifest=manifest)
        discard_staging(channel, prepared.staging)
        found = _found(state, same, candidate)  # whom we waited for has published it, perhaps
        if _is_done(state, same, candidate, activate=activate):
            return found
        _activate(channel, same.id, steps, requested=requested, since=state)
        outcome: Outcome = "published" if same.tx == candidate.run else "reactivated"
        return replace(found, outcome=outcome, activated=True)


def find_same(channel: Channel, state: State, digest: str, read: Callable[[Channel, str], M]) -> M | None:
    """Return the manifest of a release with this digest: the current one, or else the newest that can be used.

    ``read`` returns the manifest of a release, or raises an ``EfsprovError``.
    """
    usable = (r.id for r in state.live if r.bad is None and r.id.endswith(digest[:8]))
    for release in sorted(usable, key=lambda r: (r == state.current, r), reverse=True):
        try:
            manifest = read(channel, release)
        except EfsprovError:
            continue  # damaged: it is made again
        if manifest.lock_digest == digest and not quick_check(channel, release):
            return manifest
    return None


def _refuse_unwanted(channel: Channel, state: State, candidate: Candidate[M], *, again: bool) -> None:
    if (error := objection(state, candidate.digest, where=channel.label, again=again)) is not None:
        raise error


def _is_done(state: State, same: Manifest, candidate: Candidate[M], *, activate: bool) -> bool:
    """Tell whether nothing is left to decide: the release is current, or is not to be, or was by this very request.

    That request arrives again, and somebody may have rolled back since. Any other release that is not current may be
    on its way there: its publisher holds the lock.
    """
    mine = same.tx == candidate.run and bool(state.releases[same.id].activated)
    return not activate or state.current == same.id or mine


def _found(state: State, same: M, candidate: Candidate[M]) -> Publication[M]:
    return Publication(
        "published" if same.tx == candidate.run else "unchanged",
        activated=state.current == same.id,
        before=state.current if state.current != same.id else None,
        manifest=same,
    )


def _make(lock: PublisherLock, staging: Path, since: State, candidate: Candidate[M], steps: ProgressReporter) -> M:
    listed, draft = candidate.make(lock, staging, since)
    with steps.step("publish") as step:
        manifest = publish(lock, staging, listed, draft, since=since)
        step.outcome = manifest.id
    return manifest


def _activate(channel: Channel, release: str, steps: ProgressReporter, *, requested: State, since: State) -> None:
    """Make a release current. ``requested`` is the channel as it was found before the lock, ``since`` under it.

    Publishers whom this one waited for came first; a rollback meanwhile is younger than what was asked for.
    """
    with steps.step("activate") as step:
        refuse_foreign(channel, requested, release=release, actions=frozenset({"rollback"}))
        activate_published(channel, release, since=since)
        step.outcome = release


def _clear_away(channel: Channel, state: State, steps: ProgressReporter) -> None:
    """Put right what killed writers left, if nobody is at work. There is nothing else to do, so nothing is a failure."""
    if is_tidy(channel, state) or is_locked(channel):
        return
    try:
        with publisher_lock(channel, wait=False) as lock:
            _tell(prepare_for_publishing(lock, keep_staging=""), steps)
    except EfsprovError as error:
        steps.note("publish", f"Leftovers of writers that were killed stay for the next time: {error.message}")


def _tell(report: RepairReport, steps: ProgressReporter) -> None:
    for line in report.lines():
        steps.note("publish", line)


@contextmanager
def _discarded_on_failure(channel: Channel, staging: Path) -> Iterator[None]:
    """What fails or is interrupted leaves no staging; what is killed or suspended leaves it for the next to go on with."""
    try:
        yield
    except Suspended:
        raise
    except BaseException:
        discard_staging(channel, staging)
        raise
