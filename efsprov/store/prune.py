"""Removing releases that nobody needs any more, in an order that cannot take one away from somebody who does.

The journal's `prune` entry comes first, by compare-and-set on a decision made again from all entries: so a rollback to
that very release either comes before it, and the release stays, or after it, and is told that it was pruned. Only
then is the folder moved out of readers' sight, the journal asked once more, and the folder removed. A crash after any
step leaves what the next publisher finishes.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from efsprov.core.history import Entry, State, fold
from efsprov.core.retention import Clocks, Decision, Rules, decide
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import lstat, open_directory
from efsprov.store.fs.remove import Removed, remove_tree
from efsprov.store.journal import append_when, entry_name, read_state
from efsprov.store.layout import Channel
from efsprov.store.publisher_lock import PublisherLock, publisher_lock
from efsprov.store.repair import move_to_trash, prepare_for_publishing


@dataclass(frozen=True)
class PrunePlan:
    """What would be done: a decision for every release, oldest first."""

    rules: Rules
    decisions: tuple[Decision, ...]

    @property
    def doomed(self) -> tuple[str, ...]:
        """The releases that go."""
        return tuple(decision.release for decision in self.decisions if not decision.keep)


@dataclass(frozen=True)
class PruneReport:
    """What was done: releases that went, those that the plan had going and that stay all the same (with the reason),
    bytes that became free, and what could not be removed yet.
    """

    pruned: tuple[str, ...] = ()
    spared: tuple[Decision, ...] = ()
    freed: int = 0
    left: tuple[str, ...] = ()


def plan_prune(channel: Channel, rules: Rules) -> PrunePlan:
    """Decide what would go; changes nothing.

    Nothing may be written to ask the server for its time, so this machine's clock stands in for it. The execution asks.
    """
    channel.require()
    state, now = read_state(channel), channel.writer.clock()
    return PrunePlan(rules, _decide(channel, state, rules, now=now, server_now=now))


def execute_prune(
    channel: Channel, plan: PrunePlan, *, wait: bool = True, on_wait: Callable[[str], None] | None = None
) -> PruneReport:
    """Carry a plan out, as far as it still holds; also finishes what killed writers left.

    Takes the publisher lock, as `publisher_lock` describes.
    """
    channel.require()
    with publisher_lock(channel, wait=wait, on_wait=on_wait) as lock:
        cleaned = prepare_for_publishing(lock, keep_staging="")
        pruned, spared, moved = [], [], []
        for release in plan.doomed:
            decision = _journal_prune(lock, release, plan.rules)
            if decision.keep:
                spared.append(decision)
                continue
            pruned.append(release)
            place = move_to_trash(channel, release)
            if place is not None:
                moved.append((release, place))
        outcome = _remove(channel, moved)
    return PruneReport(
        pruned=tuple(pruned),
        spared=tuple(spared),
        freed=cleaned.freed + outcome.freed,
        left=(*cleaned.left, *(f"{os.path.relpath(path, channel.path)} ({why})" for path, why in outcome.left)),
    )


def _journal_prune(lock: PublisherLock, release: str, rules: Rules) -> Decision:
    """Journal the end of a release, unless the journal and the server's clock now say that it stays."""
    channel, decision = lock.channel, Decision(release, keep=True, reason="it is gone already")

    def goes(entries: tuple[Entry, ...]) -> bool:
        nonlocal decision
        now, server_now, state = channel.writer.clock(), lock.server_time(), fold(entries)
        decisions = _decide(channel, state, rules, now=now, server_now=server_now)
        decision = next((d for d in decisions if d.release == release), decision)
        return not decision.keep

    append_when(channel, "prune", release, goes)
    return decision


def _decide(
    channel: Channel, state: State, rules: Rules, *, now: datetime, server_now: datetime
) -> tuple[Decision, ...]:
    entries = {release.deactivated_in or release.published_in for release in state.live}
    clocks = Clocks(now, server_now, _stored(channel, entries))
    return decide(state, rules, clocks, channel.release_ids())


def _stored(channel: Channel, entries: set[int]) -> dict[int, datetime]:
    """Return when the server stored these entries, by its own clock (which no client can set in a link's ctime)."""
    with translate_os_errors("Reading the journal", channel.journal), open_directory(channel.journal) as fd:
        return {
            number: datetime.fromtimestamp(os.stat(entry_name(number), dir_fd=fd, follow_symlinks=False).st_ctime, UTC)
            for number in entries
        }


def _remove(channel: Channel, moved: list[tuple[str, Path]]) -> Removed:
    """Remove what was moved to the trash, after a last look whether the journal still wants it gone."""
    state, outcome = read_state(channel), Removed()
    for release, place in moved:
        if state.releases[release].pruned:
            outcome += remove_tree(channel.ops, place)
        else:
            _put_back(channel, release, place)
    return outcome


def _put_back(channel: Channel, release: str, place: Path) -> None:
    """Undo the move: somebody who does not hold to the order above made the release current in the meantime."""
    target = channel.release_path(release)
    with translate_os_errors("Putting the release back", place):
        try:
            channel.ops.rename(str(place), str(target))
        except OSError:
            if lstat(place) is not None or lstat(target) is None:
                raise
        with open_directory(channel.releases) as fd:
            channel.ops.fsync(fd)
