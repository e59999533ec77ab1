"""What became of the writes: as syncfs(2) tells it to each descriptor (on NFS: tests/store/test_nfs.py)."""

import errno
import os

import pytest

from efsprov.core.errors import RootError
from efsprov.store.durability import make_durable, settle_earlier_writes
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import prepare_for_publishing, repair
from tests.store.faulty_ops import FaultyOps
from tests.store.minisync import open_channel, sync

KEPT = "a" * 16


class FailedWrites(FaultyOps):
    """A file system that tells of writes that failed as Linux does: once to each descriptor.

    ``untold`` says that the last failure was told to nobody yet: then a descriptor that is opened later is reported, too.
    """

    def __init__(self):
        super().__init__()
        self.failures, self.untold = 0, False
        self.known = {}

    def fail(self):
        self.failures, self.untold = self.failures + 1, True

    def open(self, path, flags, mode=0o644, *, dir_fd=None):
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        self.known[fd] = self.failures - self.untold
        return fd

    def syncfs(self, fd):
        result, self.known[fd], self.untold = self.known[fd], self.failures, False
        if result < self.failures:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def ops():
    return FailedWrites()


@pytest.fixture
def lock(root, ops):
    with publisher_lock(open_channel(root, ops=ops), wait=False) as lock:
        yield lock


def test_what_failed_before_is_reported_once_and_not_taken_for_the_publishers_own(ops, root):
    ops.fail()
    with publisher_lock(open_channel(root, ops=ops), wait=False) as lock:
        assert settle_earlier_writes(lock) == "Input/output error"
        assert settle_earlier_writes(lock) == ""
        make_durable(lock)


def test_what_fails_meanwhile_is_an_error_even_when_somebody_else_was_reported(ops, lock, tmp_path):
    assert settle_earlier_writes(lock) == ""
    ops.fail()
    other = ops.open(str(tmp_path / "other"), os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="Input/output"):
        ops.syncfs(other)
    with pytest.raises(OSError, match="Input/output"):
        make_durable(lock)
    os.close(other)


def test_a_disk_that_takes_nothing_any_more_is_reported_before_anything_is_copied(root, builds):
    class Dead(FaultyOps):
        def syncfs(self, fd):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    ops = Dead()
    with pytest.raises(RootError, match=r"Bringing earlier writes to stable storage failed at .*Input/output"):
        sync(open_channel(root, ops=ops), builds[1])
    assert not root.exists() or list(root.rglob("release.json")) == []


def test_who_publishes_nothing_leaves_the_news_to_who_does(root, ops, builds):
    channel = open_channel(root, ops=ops)
    sync(channel, builds[1])
    ops.fail()
    repair(channel)
    with publisher_lock(channel, wait=True) as lock:
        assert prepare_for_publishing(lock, KEPT).lost == "Input/output error"


def test_an_old_failure_keeps_nobody_from_publishing(root, ops, builds):
    ops.fail()
    channel = open_channel(root, ops=ops)
    release = sync(channel, builds[1])
    assert channel.release_ids() == (release,)


def test_a_new_failure_leaves_no_release_and_is_reported_with_its_place(root, ops, builds):
    class Failing(FailedWrites):
        def rename(self, source, target):  # the journal's and the copy's notes: the copy is under way
            super().rename(source, target)
            if target.endswith(".copied"):
                self.fail()

    channel = open_channel(root, ops=Failing())
    with pytest.raises(RootError, match=r"Bringing the release to stable storage failed at .*/staging/.*Input/output"):
        sync(channel, builds[1])
    assert not channel.exists or channel.release_ids() == ()


@pytest.mark.parametrize("failed", [False, True])
def test_what_a_killed_run_copied_is_gone_on_with_where_it_is_certain(root, ops, builds, failed):
    """On a local disk; on NFS what was closed is on the server, whatever else failed."""
    channel = open_channel(root, ops=ops)
    sync(channel, builds[1])
    (channel.staging / f"{KEPT}.1").mkdir()
    (channel.staging / f"{KEPT}.1" / "x").write_text("x")
    (channel.staging / f"{KEPT}.1.copied").write_text("")
    if failed:
        ops.fail()
    with publisher_lock(channel, wait=True) as lock:
        report = prepare_for_publishing(lock, KEPT)
    assert report.resumed is not failed
    assert [line for line in report.lines() if "failed" in line] == [
        "an earlier write to this file system failed, by whatever program: Input/output error"
    ] * failed
    assert report.staging.exists() is not failed
