"""What is run under faults: each program with the root that it starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from efsprov.core.retention import Rules
from efsprov.store.copying.copy import CopyLimits, copy_tree
from efsprov.store.journal import append, entry_name, read_state
from efsprov.store.layout import Channel
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, mark, rollback
from efsprov.store.repair import repair
from tests.store.minisync import Build, build, open_channel, sync

Builds = dict[int, Build]
RULES = Rules(keep_last=1, grace=timedelta(0))


@dataclass(frozen=True)
class Program:
    """``start`` fills an empty root, ``run`` is what is disturbed; ``builds`` are at hand for both, by number."""

    start: Callable[[Channel, Builds], object]
    run: Callable[[Channel, Builds], object]


def builds_in(folder: Path) -> Builds:
    """Builds 1 to 5 on the local disk; 5 is for what comes after a fault."""
    return {number: build(folder, number) for number in range(1, 6)}


def _synced(*numbers: int) -> Callable[[Channel, Builds], None]:
    def start(channel: Channel, builds: Builds) -> None:
        for number in numbers:
            sync(channel, builds[number])

    return start


def _staging_left(channel: Channel, builds: Builds) -> None:
    """Release 1, and half of build 2 as a killed sync leaves it."""
    sync(channel, builds[1])
    _leave_staging(channel, builds[2])


def _everything_left(channel: Channel, builds: Builds) -> None:
    """Releases 1 and 2, and all that killed writers can leave."""
    first = sync(channel, builds[1])
    sync(channel, builds[2])
    _leave_staging(channel, builds[3])
    # one release that was renamed but not journaled, one that is not whole, and one that was pruned but not moved
    orphan = sync(channel, builds[4], activate=False)
    (channel.journal / entry_name(5)).unlink()
    channel = open_channel(channel.root.path)  # entries that it read are remembered
    (channel.release_path("20990101T000000Z-00000000") / "site").mkdir(parents=True)
    pruned = channel.release_path("20200101T000000Z-00000000") / "site"
    pruned.mkdir(parents=True)
    append(channel, "publish", pruned.parent.name, after=4)
    append(channel, "prune", pruned.parent.name, after=5)
    # a rollback that was journaled, but not projected
    append(channel, "rollback", first, after=6)
    (channel.path / ".current.0123456789abcdef").symlink_to(f"releases/{orphan}")
    (channel.root.path / "efsprov.json.0123456789abcdef").write_text("{")
    (channel.trash / "20200101T000000Z-00000000.0123456789abcdef" / "site").mkdir(parents=True)
    (channel.trash / "20200101T000000Z-00000000.0123456789abcdef" / "site" / "x.py").write_text("x = 1\n")


def _leave_staging(channel: Channel, built: Build) -> None:
    staging = channel.staging / f"{built.lock_digest[:16]}.0123456789abcdef"
    limits = CopyLimits(workers=1, buffers=1)
    copy_tree(built.source, staging, built.files[:2], ops=channel.ops, limits=limits)


def _activate_first(channel: Channel, builds: Builds) -> None:
    activate(channel, read_state(channel).live[0].id)


def _pin_current(channel: Channel, builds: Builds) -> None:
    mark(channel, "pin", str(read_state(channel).current))


def _prune(channel: Channel, builds: Builds) -> None:
    execute_prune(channel, plan_prune(channel, RULES))


PROGRAMS = {
    "first-sync": Program(start=lambda channel, builds: None, run=lambda channel, builds: sync(channel, builds[1])),
    "sync": Program(start=_synced(1), run=lambda channel, builds: sync(channel, builds[2])),
    "resumed-sync": Program(start=_staging_left, run=lambda channel, builds: sync(channel, builds[2])),
    "activate": Program(start=_synced(1, 2), run=_activate_first),
    "rollback": Program(start=_synced(1, 2), run=lambda channel, builds: rollback(channel)),
    "pin": Program(start=_synced(1, 2), run=_pin_current),
    "prune": Program(start=_synced(1, 2, 3, 4), run=_prune),
    "repair": Program(start=_everything_left, run=lambda channel, builds: repair(channel)),
}
