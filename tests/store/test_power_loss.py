"""A power cut after any call, with whatever was not synchronised lost or kept, each call for itself.

After each: what was acknowledged is there, `current` names a whole release that the journal activated, every release of
the journal is whole, and a repair ends clean.
"""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

from tests.store.minisync import TARGET
from tests.store.mutants import (
    life_with_journal_before_rename,
    life_with_prune_before_journal,
    life_with_swap_before_journal,
)
from tests.store.power_disk import called_from
from tests.store.power_lab import life, problems_after_cuts, record


@pytest.fixture
def folder():
    """Thousands of small trees are written and removed: in memory, where that can be had."""
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="efsprov-power-", dir=fast) as name:
        (Path(name) / "life").mkdir()
        yield Path(name)


def first_problems(folder, seed=1, **how):
    recording = record(folder / "life", **how)
    return list(itertools.islice(problems_after_cuts(recording, folder / "scratch", seed=seed), 5))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_survives_a_power_cut_after_every_call(folder, seed):
    assert first_problems(folder, seed) == []


@pytest.mark.parametrize("name", ["journal", "releases", "staging", TARGET])
def test_notices_a_dropped_fsync_of_a_folder(folder, name):
    assert first_problems(folder, dropped=lambda call, path: call == "fsync" and Path(path).name == name)


@pytest.mark.parametrize(
    "functions",
    [
        ("project", "sync_journal"),  # another writer's entry, before readers are sent where it says
        ("_recover", "sync_rename"),  # another publisher's rename, before the journal tells of it
        ("mark", "append_when", "sync_journal"),  # an entry that was there already, before it is acknowledged
    ],
)
def test_notices_a_dropped_fsync_of_what_a_dead_writer_did(folder, functions):
    assert first_problems(folder, dropped=lambda call, path: call == "fsync" and called_from(*functions))


def test_notices_a_dropped_fsync_of_the_format_file(folder):
    assert first_problems(folder, dropped=lambda call, path: call == "fsync" and "efsprov.json." in path)


def test_notices_a_dropped_syncfs(folder):
    assert first_problems(folder, dropped=lambda call, path: call == "syncfs")


@pytest.mark.parametrize(
    "mutant", [life_with_swap_before_journal, life_with_journal_before_rename, life_with_prune_before_journal]
)
def test_notices_a_wrong_order(folder, mutant):
    assert first_problems(folder, lived=mutant)


def test_a_life_has_all_commands_and_every_kind_of_cut(folder):
    recording = record(folder / "life", lived=life)
    assert len(recording.promises) == 9
    assert len(recording.disk.calls) > 150
    assert sum(bool(call.waits) for call in recording.disk.calls) > 0  # something is never synchronised: staging, trash
