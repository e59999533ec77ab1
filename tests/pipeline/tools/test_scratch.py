"""Scratch folders belong to whoever holds their lock, and what is left of others goes, whatever it is."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from efsprov.pipeline.tools.scratch import scratch_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path))
    return tmp_path / "scratch"


def abandoned(cache, name="left"):
    """A folder of a run that was killed: its lock file is there, and nobody holds it."""
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    folder.with_suffix(".lock").touch()
    return folder


def test_it_is_empty_and_goes_with_its_lock(cache):
    with scratch_folder() as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert list(cache.iterdir()) == []


def test_what_a_killed_run_left_goes(cache):
    folder = abandoned(cache)
    with scratch_folder():
        assert not folder.exists()
    assert list(cache.iterdir()) == []


def test_what_another_process_holds_stays_in_other_process_namespaces_too(cache):
    """The other's number says nothing: containers that share the cache count processes for themselves."""
    code = "from efsprov.pipeline.tools.scratch import scratch_folder\nwith scratch_folder() as f: print(f, flush=True); input()"
    unshare = ["unshare", "--pid", "--fork"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [*unshare, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    other = Path(process.stdout.readline().strip())
    with scratch_folder():
        assert other.is_dir()
    process.communicate("\n")
    assert not other.exists()


def test_what_is_hundreds_of_folders_deep_goes(cache):
    folder = abandoned(cache)
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with scratch_folder():
        pass
    assert list(cache.iterdir()) == []


def test_what_cannot_be_removed_stops_nobody(cache):
    """A lock that cannot be opened, here a folder, and one whose folder is somebody's mount or immutable."""
    cache.mkdir(parents=True)
    (cache / "odd.lock").mkdir()
    with scratch_folder() as folder:
        assert folder.is_dir()


def test_a_folder_that_is_just_being_made_is_not_taken(cache):
    folder = abandoned(cache)
    with folder.with_suffix(".lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with scratch_folder():
            assert folder.is_dir()
    with scratch_folder():
        assert not folder.exists()
