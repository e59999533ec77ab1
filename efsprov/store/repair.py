"""Puts right what writers leave that died half-way, so that the next one starts from a sound channel."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from efsprov.core.errors import EfsprovError
from efsprov.core.history import Entry, State
from efsprov.store.copying.resume_log import notes_last, record_path
from efsprov.store.current import project, temporary_links
from efsprov.store.durability import settle_earlier_writes
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import link_text, lstat
from efsprov.store.fs.remove import Removed, remove_tree
from efsprov.store.journal import append_when, read_state
from efsprov.store.layout import FORMAT_FILE, Channel, make_directory
from efsprov.store.publisher_lock import LOCK_FILE, PublisherLock, publisher_lock
from efsprov.store.staging import resume_staging, sync_rename
from efsprov.store.verify import quick_check, read_manifest

_FORMAT_TEMPORARY = re.compile(re.escape(FORMAT_FILE) + r"\.[0-9a-f]{16}")


@dataclass(frozen=True)
class RepairReport:
    """What a clean-up found and did. Paths are relative to the channel's folder.

    ``state`` is the channel afterwards. ``staging`` is the folder for the publisher to build in; ``resumed`` tells
    whether it exists, with files of a run that was killed (which of them are whole is in the copy's record). ``lost``
    is why an earlier write to this file system failed, by whatever program.
    """

    state: State
    staging: Path
    resumed: bool = False
    lost: str = ""
    projected: bool = False
    recovered: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    freed: int = 0
    left: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """What was put right, and what could not be, a line each."""
        return (
            *(f"release {release} was published, but not journaled: it is now" for release in self.recovered),
            *(f"releases/{release} was pruned or is not a whole release: removed" for release in self.discarded),
            *(f"{path} was left by a writer that was killed: removed" for path in self.removed),
            *([f"current names {self.state.current} again"] if self.projected else []),
            *([f"an earlier write to this file system failed, by whatever program: {self.lost}"] if self.lost else []),
            *(f"{path}: stays for the next time" for path in self.left),
        )


def prepare_for_publishing(lock: PublisherLock, keep_staging: str) -> RepairReport:
    """Clean the channel up for the publisher that has just taken the lock, and give it a staging folder of its own.

    Releases that were renamed into place but not journaled are adopted when they are whole, else removed; what else
    was left by killed writers is removed; `current` is put right. Staging that a killed run left under the name
    ``keep_staging`` (of what it was building: the lock's digest) is handed on file by file. Not so on a local disk that
    lost writes: a page that could not be written looks whole in this machine's cache.

    Raises ``RootError`` for what the file system refuses.
    """
    channel = lock.channel
    recovered, discarded = _settle_orphans(channel)
    try:
        projected, broken = project(channel), ""
    except EfsprovError as error:  # a release that is gone: what is published next makes up for it
        projected, broken = False, f"current ({error.message})"
    with translate_os_errors("Cleaning up", channel.path):
        lost = settle_earlier_writes(lock) if keep_staging else ""  # who publishes nothing leaves the news to who does
        trusted = not lost or notes_last(channel.staging)
        staging, resumed = resume_staging(channel, keep_staging if trusted else "")
        removed, outcome = _remove_leftovers(channel, except_for=staging, discarded=discarded)
    return RepairReport(
        state=read_state(channel),
        staging=staging,
        resumed=resumed,
        lost=lost,
        projected=projected,
        recovered=recovered,
        discarded=discarded,
        removed=removed,
        freed=outcome.freed,
        left=(
            *([broken] if broken else []),
            *(f"{os.path.relpath(path, channel.path)} ({why})" for path, why in outcome.left),
        ),
    )


def is_tidy(channel: Channel, state: State) -> bool:
    """Tell whether there is nothing for `prepare_for_publishing` to put right. Takes no lock, so that a publisher who is
    at work looks like leftovers.
    """
    with translate_os_errors("Looking for leftovers", channel.path):
        try:
            if lstat(channel.path / LOCK_FILE) is not None or _leftovers(channel):
                return False
        except FileNotFoundError:
            return False  # a publisher who makes the first release, or fails to, makes and removes these folders
        if any(_is_orphan(state, release) for release in channel.release_ids()):
            return False
        return link_text(channel.current) == (f"releases/{state.current}" if state.current else None)


def repair(channel: Channel, *, wait: bool = True) -> tuple[str, ...]:
    """Put right what is mechanical: orphans, leftovers, trash, `current`. Return a line for each thing that was wrong.

    Takes the publisher lock: waits for a publisher that is at work, or raises ``BusyError`` where ``wait`` is false.
    """
    channel.require()
    with publisher_lock(channel, wait=wait) as lock:
        return prepare_for_publishing(lock, keep_staging="").lines()


def move_to_trash(channel: Channel, release: str) -> Path | None:
    """Take a release out of readers' sight, in one step; return where it is now, None when it was not there."""
    source = channel.release_path(release)
    target = channel.trash / f"{release}.{channel.writer.new_tx()}"
    with translate_os_errors("Removing the release", source):
        make_directory(channel.ops, channel.trash)
        try:
            channel.ops.rename(str(source), str(target))
        except OSError:
            # On NFS a rename that reports an error may have happened (measured); the new name is ours alone.
            if lstat(target) is None:
                if lstat(source) is None:
                    return None
                raise
    return target


def _settle_orphans(channel: Channel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Adopt or discard what lies in `releases` without being in the journal, and what the journal says was pruned."""
    recovered, discarded = [], []
    there = channel.release_ids()  # before the journal: what is published in between is then in it
    state = read_state(channel)
    for release in there:
        if not _is_orphan(state, release):
            continue
        if release not in state.releases and not quick_check(channel, release):
            _recover(channel, release)
            recovered.append(release)
        else:
            move_to_trash(channel, release)
            discarded.append(release)
    return tuple(recovered), tuple(discarded)


def _is_orphan(state: State, release: str) -> bool:
    """Tell whether a folder in `releases` is there although the journal does not know it, or says that it was pruned."""
    known = state.releases.get(release)
    return known is None or (known.pruned and release != state.current)


def _recover(channel: Channel, release: str) -> None:
    """Journal a release whose publisher died between the rename and the journal: it was built, proven and written whole."""

    def unpublished(entries: tuple[Entry, ...]) -> bool:
        return not any(e.do == "publish" and e.release == release for e in entries)

    sync_rename(channel)
    append_when(channel, "publish", release, unpublished, note="adopted", tx=read_manifest(channel, release).tx)


def _remove_leftovers(
    channel: Channel, *, except_for: Path, discarded: tuple[str, ...]
) -> tuple[tuple[str, ...], Removed]:
    """Remove all but one staging folder. What was ``discarded`` a moment ago is no leftover to tell of."""
    kept = {except_for, record_path(except_for)}
    doomed = [path for path in _leftovers(channel) if path not in kept]
    outcome = Removed()
    for path in doomed:
        outcome += remove_tree(channel.ops, path)
    gone = [path for path in doomed if lstat(path) is None and not path.name.startswith(discarded)]
    return tuple(os.path.relpath(path, channel.path) for path in gone), outcome


def _leftovers(channel: Channel) -> list[Path]:
    """What lies where writers build, clear away and rename: nothing, unless one is at work or was killed."""
    root = channel.root.path
    staged = sorted(os.listdir(channel.staging), reverse=True)  # the notes about files before the files
    return [
        *(channel.staging / name for name in staged),
        *(channel.trash / name for name in sorted(os.listdir(channel.trash))),
        *(channel.path / name for name in temporary_links(channel)),
        *(root / name for name in sorted(os.listdir(root)) if _FORMAT_TEMPORARY.fullmatch(name)),
    ]
