"""Publishing a release, and making one current: the two steps by which a channel changes."""

from pathlib import Path
from typing import TypeVar

from efsprov.core import filelist
from efsprov.core import manifest as manifests
from efsprov.core.errors import ConflictError, IntegrityError, NotFoundError
from efsprov.core.history import ACTIVATIONS, Action, Entry, State, fold, known_release
from efsprov.core.manifest import Manifest
from efsprov.core.release_id import new_release_id
from efsprov.store.current import project
from efsprov.store.durability import make_durable
from efsprov.store.fs.atomic import write_file
from efsprov.store.fs.errors import root_error, translate_os_errors
from efsprov.store.fs.lookup import is_directory
from efsprov.store.journal import append_when, read_entries, read_state
from efsprov.store.layout import Channel
from efsprov.store.publisher_lock import PublisherLock
from efsprov.store.staging import discard_staging, sync_rename
from efsprov.store.verify import quick_check, read_manifest

M = TypeVar("M", bound=Manifest)


def publish(lock: PublisherLock, staged: Path, files: str, draft: M, *, since: State) -> M:
    """Make the staged tree a release: write its manifest, bring it to stable storage, rename it, journal it.

    ``files`` is the text of its file list; id, time and digests of ``draft`` are filled in. ``since`` is the channel
    as this publisher found it when it took the lock. Raises ``ConflictError`` when another publisher came in between,
    which the lock cannot prevent where this machine was cut off.
    """
    channel, ops = lock.channel, lock.channel.ops
    lock.assert_held()
    newest = max((*channel.release_ids(), *since.releases), default=None)
    now = channel.writer.clock()
    manifest = draft.model_copy(
        update={
            "id": new_release_id(draft.lock_digest, now=now, newest=newest),
            "created": now,
            "files_sha256": filelist.digest(files),
        }
    )
    with translate_os_errors("Publishing the release", staged):
        write_file(ops, staged / filelist.NAME, files.encode("utf-8", "surrogateescape"))
        write_file(ops, staged / manifests.NAME, manifest.dump())
    with translate_os_errors("Bringing the release to stable storage", staged):
        make_durable(lock)
    lock.assert_held()
    refuse_foreign(channel, since, release=manifest.id, actions=frozenset({"publish"}))
    _rename_into_place(channel, staged, manifest)

    def unpublished(entries: tuple[Entry, ...]) -> bool:
        return not any(e.do == "publish" and e.release == manifest.id for e in entries)

    append_when(channel, "publish", manifest.id, unpublished, tx=manifest.tx)
    discard_staging(channel, staged)  # what the copy noted beside it
    return manifest


def activate(channel: Channel, release: str, *, do: Action = "activate", note: str = "") -> str | None:
    """Make a release current, and return the id of the one that was.

    Raises ``NotFoundError`` for a release that is not there, ``IntegrityError`` for one that is marked bad or fails
    the quick check.
    """
    channel.require()
    check_usable(channel, read_state(channel), release)

    def wanted(entries: tuple[Entry, ...]) -> bool:
        state = fold(entries)
        _refuse_unusable(channel, state, release)
        return state.current != release

    before, _ = append_when(channel, do, release, wanted, note=note)
    project(channel)
    return before.current


def activate_published(channel: Channel, release: str, *, since: State) -> str | None:
    """Make the release current that this publisher just published; return the id of the one that was.

    Raises ``ConflictError`` when anybody else published or activated after ``since`` (their decision is younger), also
    where that came right after the activation; and ``IntegrityError`` when somebody marked it bad already.
    """

    def undisturbed(entries: tuple[Entry, ...]) -> bool:
        _refuse_foreign(channel, entries, since, release=release, actions=ACTIVATIONS | {"publish"})
        state = fold(entries)
        _refuse_unusable(channel, state, release)
        return state.current != release

    before, _ = append_when(channel, "activate", release, undisturbed)
    project(channel)
    last = next(entry for entry in reversed(read_entries(channel)) if entry.do in ACTIVATIONS)
    if (
        last.release != release
    ):  # where this machine was cut off between the journal and the swap, or an operator was quick
        raise ConflictError(
            f"Release {release} of {channel.label} is not current any more, {last.by} changed that: "
            f"{last.do} {last.release}.",
            hint=f"`efsprov history` shows what happened. If it is still wanted: `efsprov activate {release}`.",
        )
    return before.current


def rollback(channel: Channel, *, to: str | None = None, note: str = "") -> tuple[str, str]:
    """Go back to the release that was active before this one, or to ``to``; return (from, to).

    Raises ``NotFoundError`` when there is nothing to go back to, ``IntegrityError`` when the release fails the quick
    check.
    """
    channel.require()
    state = read_state(channel)
    if state.current is None:
        raise NotFoundError(f"Nothing is current in {channel.label} yet.", hint="`efsprov sync` makes a release.")
    target = to or state.previous
    if target is None:
        skipped = [r for r in state.stack[:-1] if state.releases[r].bad is not None]
        raise NotFoundError(
            f"There is no release before {state.current} in {channel.label} to go back to"
            + (f" ({', '.join(skipped)}: marked bad)." if skipped else "."),
            hint="`efsprov list` shows the releases; `efsprov rollback --to ID` or `efsprov activate ID` takes any of them.",
        )
    return activate(channel, target, do="rollback", note=note) or state.current, target


def mark(channel: Channel, do: Action, release: str, *, note: str = "") -> None:
    """Journal what is only a remark on a release: mark-bad, mark-good, pin, unpin. Nothing to do is fine."""
    channel.require()

    def needed(entries: tuple[Entry, ...]) -> bool:
        state = fold(entries)
        known = state.releases.get(release) if do == "mark-good" else None  # the mark outlives a pruned release's files
        known = known or known_release(state, release, where=channel.label)
        already = {"pin": known.pinned, "unpin": not known.pinned, "mark-good": known.bad is None}
        return not already.get(do, False)

    append_when(channel, do, release, needed, note=note)


def check_usable(channel: Channel, state: State, release: str) -> None:
    """Raise when a release may not become current: unknown, pruned, marked bad, or failing the quick check."""
    _refuse_unusable(channel, state, release)
    findings = quick_check(channel, release)
    if findings:
        _refuse_unusable(channel, read_state(channel), release)  # pruned while it was looked at, perhaps
        raise IntegrityError(
            f"Release {release} of {channel.label} is damaged: {findings[0]}"
            + (f" (and {len(findings) - 1} more)." if len(findings) > 1 else "."),
            hint=f"`efsprov verify {release}` names everything. Go to another release: `efsprov rollback --to ID`.",
        )


def _refuse_unusable(channel: Channel, state: State, release: str) -> None:
    known = known_release(state, release, where=channel.label)
    if known.bad is not None:
        raise IntegrityError(
            f"Release {release} of {channel.label} is marked bad" + (f": {known.bad}." if known.bad else "."),
            hint=f"If it is good after all: `efsprov mark-good {release}`, then run the command again.",
        )


def refuse_foreign(channel: Channel, since: State, *, release: str, actions: frozenset[Action]) -> None:
    """Raise ``ConflictError`` when somebody else did one of ``actions`` after ``since``."""
    _refuse_foreign(channel, read_entries(channel), since, release=release, actions=actions)


def _refuse_foreign(
    channel: Channel, entries: tuple[Entry, ...], since: State, *, release: str, actions: frozenset[Action]
) -> None:
    for entry in entries[since.last :]:
        if entry.do in actions and entry.release != release:
            published = is_directory(channel.release_path(release))
            raise ConflictError(
                f"{channel.label} was changed by {entry.by} during this sync: {entry.do} {entry.release}."
                + (
                    f" Release {release} was published, but not made current."
                    if published
                    else " Nothing was published."
                ),
                hint=f"If it is still wanted: `efsprov activate {release}`."
                if published
                else "`efsprov history` shows what happened; run sync again if it still applies.",
            )


def _rename_into_place(channel: Channel, staged: Path, manifest: Manifest) -> None:
    place = channel.release_path(manifest.id)
    try:
        channel.ops.rename(str(staged), str(place))
    except OSError as error:
        # On NFS a rename that reports ENOENT may have happened (measured): the manifest's tx says whose release it is.
        if not is_directory(place):
            raise root_error(error, "Publishing the release", place) from error
        found = read_manifest(channel, manifest.id)
        if found.tx != manifest.tx:
            raise ConflictError(
                f"Release {manifest.id} of {channel.label} was published by another run meanwhile.",
                hint="`efsprov history` shows it. Run sync again.",
            ) from error
    sync_rename(channel)
