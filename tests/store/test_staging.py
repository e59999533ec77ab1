"""Handing staging on to the next publisher where the last one may still be alive: on a network file system."""

import os
import shutil
from contextlib import ExitStack

import pytest

from efsprov.core.filelist import FileEntry
from efsprov.store.copying.resume_log import CopyRecord
from efsprov.store.staging import discard_staging, resume_staging
from tests.store.minisync import sync

NAME = "a" * 16
SHA = "0" * 64


@pytest.fixture
def left(channel, builds):
    """A staging folder with one finished and one unfinished file, as a killed copy leaves it."""
    sync(channel, builds[1])
    folder = channel.staging / f"{NAME}.old"
    (folder / "site" / "deep").mkdir(parents=True)
    (folder / "site" / "deep" / "finished").write_bytes(b"12345")
    (folder / "site" / "unfinished").write_bytes(b"12")
    record = CopyRecord(folder, ops=channel.ops)
    record.keep([])
    record.note([FileEntry("site/deep/finished", 5, SHA)])
    record.close()
    return folder


def test_only_finished_files_come_along_and_no_folder(channel, left):
    with ExitStack() as opened:
        unfinished = opened.enter_context((left / "site" / "unfinished").open("ab"))
        held = os.open(left / "site", os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, held)
        fresh, resumed = resume_staging(channel, NAME, shared=True)
        assert resumed
        came_along = ["site", "site/deep", "site/deep/finished"]
        assert sorted(str(p.relative_to(fresh)) for p in fresh.rglob("*")) == came_along
        # the last publisher comes back to life and goes on, through what it has open and by the old path
        os.close(os.open("late", os.O_WRONLY | os.O_CREAT, dir_fd=held))
        unfinished.write(b"345")
        (left / "site" / "deep" / "later").write_text("")
    assert sorted(str(p.relative_to(fresh)) for p in fresh.rglob("*")) == came_along
    assert fresh.with_name(f"{fresh.name}.copied").exists()


def test_on_a_local_disk_the_folder_is_renamed(channel, left):
    inode = left.stat().st_ino
    fresh, resumed = resume_staging(channel, NAME)
    assert resumed
    assert fresh.stat().st_ino == inode
    assert not left.exists()


def test_without_a_name_nothing_is_handed_on(channel, left):
    _, resumed = resume_staging(channel, "")
    assert not resumed
    assert left.exists()


def test_is_thrown_away_with_all_that_was_noted_beside_it(channel, left):
    other = channel.staging / f"{NAME}.older"
    other.mkdir()
    left.with_name(f"{left.name}.copied.new").write_text("")
    assert discard_staging(channel, left).left == ()
    assert list(channel.staging.iterdir()) == [other]


def test_throwing_away_what_is_not_there_is_fine(channel):
    assert discard_staging(channel, channel.staging / "x").left == ()


@pytest.mark.parametrize("link", ["site", "site/deep"])
def test_nothing_is_taken_through_a_link_from_outside_the_staging_folder(channel, left, tmp_path, link):
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for file in (outside / "finished", outside / "deep" / "finished"):
        file.write_bytes(b"12345")
    shutil.rmtree(left / link)
    (left / link).symlink_to(outside)
    fresh, _ = resume_staging(channel, NAME, shared=True)
    assert not list(fresh.rglob("finished"))
    assert (outside / "finished").exists()
    assert (outside / "deep" / "finished").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/hostname")])
@pytest.mark.parametrize("shared", [True, False])
def test_notes_that_are_no_file_are_no_notes(channel, left, make, shared):
    notes = left.with_name(f"{left.name}.copied")
    notes.unlink()
    make(notes)
    fresh, _ = resume_staging(channel, NAME, shared=shared)
    assert CopyRecord(fresh, ops=channel.ops, scope="x").trusted == frozenset()
