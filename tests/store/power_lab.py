"""What a power cut may do to a root, at each call of a channel's life, and whether the store survives it."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efsprov.core.errors import EfsprovError
from efsprov.core.history import ACTIVATIONS
from efsprov.store.current import read_current
from efsprov.store.journal import read_entries, read_state
from efsprov.store.layout import Channel
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, mark, rollback
from efsprov.store.repair import repair
from efsprov.store.verify import check_channel, check_release
from tests.store.crash_programs import RULES, Builds, builds_in
from tests.store.faulty_ops import CALLS
from tests.store.minisync import open_channel, sync
from tests.store.power_disk import Disk, DiskOps, write_tree

Life = Callable[[Channel, Builds], Iterator[str]]
Dropped = Callable[[str, str], bool]


@dataclass(frozen=True)
class Promise:
    """What was true when a command returned, at ``step`` of the disk: it has to survive from then on."""

    step: int
    after: str
    entries: tuple[str, ...]
    current: str | None


@dataclass
class Recording:
    disk: Disk
    top: int
    promises: list[Promise] = field(default_factory=list)


class Died(BaseException):
    """Stands for a process that ends here without any of its clean-up."""


def life(channel: Channel, builds: Builds) -> Iterator[str]:
    """A channel's life, a name for each command that returned (those that died promised nothing)."""
    sync(channel, builds[1])
    yield "first sync"
    sync(channel, builds[2])
    yield "second sync"
    rollback(channel)
    yield "rollback"
    _die_at(channel, "symlink", "", lambda dying: mark(dying, "pin", str(read_state(dying).current)))
    mark(channel, "pin", str(read_state(channel).current))
    yield "a pin, found in the journal from a run that died"
    _die_at(channel, "rename", "/releases/", lambda dying: sync(dying, builds[3]))
    sync(channel, builds[4])
    yield "a sync that adopts its release"
    sync(channel, builds[3])
    yield "a sync that finds its release published"
    _die_at(channel, "symlink", "", rollback)
    repair(channel)
    yield "the repair after a rollback that died between the journal and the swap"
    _die_at(channel, "rename", "/current", rollback)
    activate(channel, str(read_state(channel).current))
    yield "an activation of what a rollback made current that died after the swap"
    execute_prune(channel, plan_prune(channel, RULES))
    yield "prune"


def _die_at(channel: Channel, call: str, path: str, do: Callable[[Channel], object]) -> None:
    """Do something up to the first call whose target contains ``path``: what follows it is not done, nor synchronised."""

    class Dying(DiskOps):
        dead = False

        def __getattribute__(self, name: str) -> Any:
            if name in CALLS and object.__getattribute__(self, "dead"):
                raise Died
            return object.__getattribute__(self, name)

        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            self.die("rename", target)

        def symlink(self, text: str, name: str, *, dir_fd: int | None = None) -> None:
            super().symlink(text, name, dir_fd=dir_fd)
            self.die("symlink", name)

        def die(self, done: str, target: str) -> None:
            if done == call and path in target:
                self.dead = True
                raise Died

    ops = channel.ops
    assert isinstance(ops, DiskOps)
    with suppress(Died):
        do(open_channel(channel.root.path, ops=Dying(ops.disk, ops.dropped)))
        raise AssertionError("it did not die")


def record(folder: Path, lived: Life = life, dropped: Dropped = lambda call, path: False) -> Recording:
    """Live a channel's life on a disk that remembers every call; ``folder`` is empty and gets the root."""
    disk = Disk()
    builds, place = builds_in(folder / "builds"), folder / "disk"
    place.mkdir()
    recording = Recording(disk, disk.number(place.stat()))
    channel = open_channel(place / "root", ops=DiskOps(disk, dropped))
    for name in lived(channel, builds):
        entries = tuple(entry.tx for entry in read_entries(open_channel(place / "root")))
        recording.promises.append(Promise(len(disk.steps), name, entries, read_current(channel)))
    return recording


def problems_after_cuts(recording: Recording, scratch: Path, *, seed: int, samples: int = 4) -> Iterator[str]:
    """Cut the power after every call, in many ways, and tell what did not hold."""
    chance, disk, seen = random.Random(seed), recording.disk, set()
    for step in range(len(disk.steps)):
        kept = [promise for promise in recording.promises if promise.step <= step + 1]
        promise = kept[-1] if kept else Promise(0, "nothing", (), None)
        for survivors in disk.survivors(step, chance, samples):
            tree = disk.tree(survivors, recording.top)
            key = (promise.after, *sorted(item for item in tree.items() if not _is_scratch(item[0])))
            if key in seen:
                continue
            seen.add(key)
            shutil.rmtree(scratch, ignore_errors=True)
            write_tree(tree, scratch)
            for problem in _check(scratch / "root", promise):
                yield f"power cut at step {step}, after {promise.after}: {problem}"


def _is_scratch(path: str) -> bool:
    """What nobody looks at: the inside of staging and trash."""
    parts = path.split("/")
    return any(part in {"staging", "trash"} for part in parts[:-2])


def _check(root: Path, promise: Promise) -> Iterator[str]:
    try:
        yield from _check_promises(root, promise)
    except EfsprovError as error:
        yield f"{type(error).__name__}: {error.message}"


def _check_promises(root: Path, promise: Promise) -> Iterator[str]:
    channel = open_channel(root)
    entries, current = read_entries(channel), read_current(channel)
    if tuple(entry.tx for entry in entries[: len(promise.entries)]) != promise.entries:
        yield "entries of the journal that were acknowledged are lost"
    younger = {entry.release for entry in entries[len(promise.entries) :] if entry.do in ACTIVATIONS}
    if current != promise.current and current not in younger:
        yield f"current names {current}; {promise.current} was acknowledged, and the journal knows of {younger} since"
    for release in read_state(channel).live:
        yield from (str(finding) for finding in check_release(channel, release.id, full=True))
    if channel.exists:
        repair(channel)
        yield from (f"after repair: {finding}" for finding in check_channel(open_channel(root)))
