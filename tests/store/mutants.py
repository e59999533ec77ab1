"""The store with one mistake each: what the crash and power-loss tests have to notice."""

from collections.abc import Iterator

from efsprov.core import filelist
from efsprov.core import manifest as manifests
from efsprov.core.history import Entry
from efsprov.core.release_id import new_release_id
from efsprov.store import current
from efsprov.store.copying.copy import CopyLimits, copy_tree
from efsprov.store.durability import make_durable
from efsprov.store.fs.atomic import write_file
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import open_directory
from efsprov.store.fs.remove import remove_tree
from efsprov.store.journal import append, entry_name, read_state
from efsprov.store.layout import Channel
from efsprov.store.prune import plan_prune
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import move_to_trash, prepare_for_publishing
from efsprov.store.staging import sync_rename
from tests.store.crash_programs import RULES, Builds, Program
from tests.store.minisync import Build, draft, sync


def swap_before_journal(channel: Channel, built: Build) -> None:
    """Readers are sent to a release before the journal knows of it."""
    release = sync(channel, built, activate=False)
    current._swap(channel, f"releases/{release}")
    append(channel, "activate", release, after=read_state(channel).last)


def journal_before_rename(channel: Channel, built: Build) -> None:
    """A release is journaled before it is there."""
    _publish_otherwise(channel, built, in_place=False)


def build_in_place(channel: Channel, built: Build) -> None:
    """A release is made current and filled afterwards, with no rename."""
    _publish_otherwise(channel, built, in_place=True)


def _publish_otherwise(channel: Channel, built: Build, *, in_place: bool) -> None:
    with publisher_lock(channel, wait=True) as lock:
        report = prepare_for_publishing(lock, built.lock_digest[:16])
        files = filelist.dump(built.files)
        given, newest = draft(channel, built), max(report.state.releases, default=None)
        release = new_release_id(built.lock_digest, now=channel.writer.clock(), newest=newest)
        manifest = given.model_copy(update={"id": release, "files_sha256": filelist.digest(files)})
        place = channel.release_path(release) if in_place else report.staging
        if in_place:
            append(channel, "activate", release, after=read_state(channel).last)
            channel.ops.mkdir(str(place))
            current.project(channel)
        limits = CopyLimits(workers=1, buffers=1)
        copy_tree(built.source, place, built.files, ops=channel.ops, limits=limits)
        with translate_os_errors("Publishing the release", place):
            write_file(channel.ops, place / filelist.NAME, files.encode())
            write_file(channel.ops, place / manifests.NAME, manifest.dump())
            make_durable(lock)
        append(channel, "publish", release, after=read_state(channel).last)
        if not in_place:
            channel.ops.rename(str(place), str(channel.release_path(release)))
        sync_rename(channel)
        append(channel, "activate", release, after=read_state(channel).last)
        current.project(channel)


def prune_before_journal(channel: Channel, builds: Builds) -> None:
    """Releases go before the journal says so."""
    for release in plan_prune(channel, RULES).doomed:
        place = move_to_trash(channel, release)
        if place is not None:
            remove_tree(channel.ops, place)
        append(channel, "prune", release, after=read_state(channel).last)


def believe_errno(channel: Channel, builds: Builds) -> None:
    """An entry that could not be appended, says the error, was not appended."""
    state = read_state(channel)
    entry = Entry(
        number=state.last + 1,
        tx=channel.writer.new_tx(),
        do="pin",
        release=str(state.current),
        at=channel.writer.clock(),
        by=channel.writer.by,
    )
    with translate_os_errors("Writing the journal", channel.journal), open_directory(channel.journal) as fd:
        channel.ops.symlink(entry.model_dump_json(), entry_name(entry.number), dir_fd=fd)


def _starting_with(*numbers: int):
    def start(channel: Channel, builds: Builds) -> None:
        for number in numbers:
            sync(channel, builds[number])

    return start


MUTANTS = {
    "swap-before-journal": Program(_starting_with(1), lambda c, builds: swap_before_journal(c, builds[2])),
    "journal-before-rename": Program(_starting_with(1), lambda c, builds: journal_before_rename(c, builds[2])),
    "build-in-place": Program(_starting_with(1), lambda c, builds: build_in_place(c, builds[2])),
    "prune-before-journal": Program(_starting_with(1, 2, 3, 4), prune_before_journal),
    "believe-errno": Program(_starting_with(1), believe_errno),
}


def life_with_swap_before_journal(channel: Channel, builds: Builds) -> Iterator[str]:
    sync(channel, builds[1])
    yield "first sync"
    swap_before_journal(channel, builds[2])
    yield "a sync that swaps first"


def life_with_journal_before_rename(channel: Channel, builds: Builds) -> Iterator[str]:
    sync(channel, builds[1])
    yield "first sync"
    journal_before_rename(channel, builds[2])
    yield "a sync that journals first"


def life_with_prune_before_journal(channel: Channel, builds: Builds) -> Iterator[str]:
    for number in range(1, 5):
        sync(channel, builds[number])
    yield "four syncs"
    prune_before_journal(channel, builds)
    yield "a prune that removes first"
