import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from efsprov.core.errors import BusyError, NotFoundError, UsageError
from efsprov.core.retention import Rules
from efsprov.store.current import read_current
from efsprov.store.fs.fileops import FileOps
from efsprov.store.journal import append, read_entries, read_state
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, mark, rollback
from efsprov.store.publisher_lock import LOCK_FILE, publisher_lock
from efsprov.store.verify import check_channel
from tests.store.faulty_ops import FaultyOps
from tests.store.minisync import open_channel, sync

ALL_AGES = Rules(keep_last=1, grace=timedelta(0))


@pytest.fixture
def five(channel, builds):
    """A channel with five releases; the ids."""
    return channel, [sync(channel, builds[number]) for number in range(1, 6)]


def prune(channel, rules=ALL_AGES):
    return execute_prune(channel, plan_prune(channel, rules))


class TestPlanning:
    def test_changes_nothing(self, five, snapshot):
        channel, ids = five
        before = snapshot()
        plan = plan_prune(channel, ALL_AGES)
        assert plan.doomed == (*ids[:3],)
        assert [decision.release for decision in plan.decisions] == ids
        assert snapshot() == before

    def test_of_a_channel_that_is_not_there_is_reported(self, channel, root):
        root.mkdir()
        with pytest.raises(NotFoundError):
            plan_prune(channel, ALL_AGES)

    def test_with_senseless_rules_is_refused(self):
        with pytest.raises(UsageError):
            Rules(keep_last=-1)


class TestExecuting:
    def test_removes_what_the_plan_says_and_frees_space(self, five):
        channel, ids = five
        report = prune(channel)
        assert (report.pruned, report.spared, report.left) == ((*ids[:3],), (), ())
        assert report.freed > 0
        assert channel.release_ids() == (*ids[3:],)
        assert [(e.do, e.release) for e in read_entries(channel)[10:]] == [("prune", release) for release in ids[:3]]
        assert check_channel(channel) == ()

    def test_again_finds_nothing_to_do(self, five):
        channel, _ = five
        prune(channel)
        assert prune(channel).pruned == ()

    def test_what_was_pruned_cannot_come_back(self, five):
        channel, ids = five
        prune(channel)
        for act in (activate, lambda c, r: rollback(c, to=r), lambda c, r: mark(c, "pin", r)):
            with pytest.raises(NotFoundError, match="it was pruned"):
                act(channel, ids[0])

    @pytest.mark.parametrize(
        "meanwhile",
        [
            activate,
            lambda channel, release: rollback(channel, to=release),
            lambda channel, release: mark(channel, "pin", release),
        ],
    )
    def test_what_became_needed_after_the_plan_is_spared(self, five, meanwhile):
        channel, ids = five
        plan = plan_prune(channel, ALL_AGES)
        meanwhile(open_channel(channel.root.path), ids[0])
        report = execute_prune(channel, plan)
        assert [decision.release for decision in report.spared] == [ids[0]]
        assert ids[0] in channel.release_ids()
        assert check_channel(channel) == ()

    @pytest.mark.parametrize("call", ["symlink", "rename", "unlink", "rmdir"])
    def test_a_rollback_to_that_very_release_at_any_call_wins_or_is_reported(self, channel, builds, call):
        """The rollback comes just before the first call of a kind that prune makes."""
        ids = [sync(channel, builds[number]) for number in range(1, 5)]
        outcome, turn = [], threading.Lock()

        class RolledBack(FileOps):
            def do(self, name):
                if name == call and turn.acquire(blocking=False):  # files are removed by several threads
                    try:
                        outcome.append(rollback(open_channel(channel.root.path), to=ids[0]))
                    except NotFoundError as error:
                        outcome.append(error.message)

            def symlink(self, text, path, *, dir_fd=None):
                self.do("symlink")
                super().symlink(text, path, dir_fd=dir_fd)

            def rename(self, source, target):
                self.do("rename")
                super().rename(source, target)

            def unlink(self, path, *, dir_fd=None):
                if LOCK_FILE not in path:
                    self.do("unlink")
                super().unlink(path, dir_fd=dir_fd)

            def rmdir(self, path, *, dir_fd=None):
                self.do("rmdir")
                super().rmdir(path, dir_fd=dir_fd)

        report = prune(open_channel(channel.root.path, ops=RolledBack()))
        assert len(outcome) == 1
        if call == "symlink":  # before prune's own entry: the rollback wins
            assert outcome == [(ids[3], ids[0])]
            assert report.spared[0].release == ids[0]
            assert read_current(channel) == ids[0]
        else:
            assert "it was pruned" in outcome[0]
            assert ids[0] not in channel.release_ids()
            assert read_current(channel) == ids[3]
        assert check_channel(open_channel(channel.root.path)) == ()

    def test_a_release_is_put_back_that_a_writer_without_rules_activates(self, five):
        """The last look before anything is removed: an entry that no efsprov of today would append."""
        channel, ids = five
        state = read_state(channel)

        class Lawless(FaultyOps):
            def rename(self, source, target):
                super().rename(source, target)
                if target.startswith(str(channel.trash / ids[2])):
                    other = open_channel(channel.root.path)
                    append(other, "activate", ids[2], after=read_state(other).last)

        prune(open_channel(channel.root.path, ops=Lawless()))
        fresh = open_channel(channel.root.path)
        assert state.current != read_state(fresh).current == ids[2]
        assert ids[2] in fresh.release_ids()
        assert [str(f) for f in check_channel(fresh)] == [
            f"current names {ids[4]}, the journal's last activation {ids[2]}"
        ]

    def test_a_file_in_use_is_left_for_the_next_time(self, five):
        channel, ids = five

        class InUse(FileOps):
            def unlink(self, path, *, dir_fd=None):
                if f"/{ids[0]}." in path and path.endswith("/pylock.toml"):
                    Path(path).rename(path.replace("pylock.toml", ".nfs0001"))
                else:
                    super().unlink(path, dir_fd=dir_fd)

        report = prune(open_channel(channel.root.path, ops=InUse()))
        assert len(report.pruned) == 3
        assert len(report.left) == 1
        assert report.left[0].endswith("(Directory not empty)")
        assert [str(f) for f in check_channel(channel)] == [f"{report.left[0].split()[0]} waits to be removed"]
        again = prune(channel)
        assert (again.pruned, again.left) == ((), ())
        assert check_channel(channel) == ()

    def test_a_release_whose_folder_is_gone_is_only_journaled(self, five):
        channel, ids = five
        channel.release_path(ids[0]).rename(channel.root.path / "taken away")
        assert ids[0] in prune(channel).pruned
        assert check_channel(channel) == ()

    def test_waits_for_a_publisher_or_is_busy(self, five, snapshot):
        channel, _ = five
        plan = plan_prune(channel, ALL_AGES)
        with publisher_lock(open_channel(channel.root.path), wait=True):
            before = snapshot()
            with pytest.raises(BusyError):
                execute_prune(channel, plan, wait=False)
            assert snapshot() == before


class TestClocks:
    """Releases that were all published and replaced a moment ago, by the clock of the file system."""

    @pytest.mark.parametrize("days", [-400, -1, 1, 2, 400])
    def test_this_machines_clock_cannot_make_them_old(self, five, days):
        channel, ids = five
        wrong = open_channel(channel.root.path, clock=lambda: datetime.now(UTC) + timedelta(days=days))
        plan = plan_prune(wrong, Rules(keep_last=1))
        report = execute_prune(wrong, plan)
        assert report.pruned == ()
        assert channel.release_ids() == (*ids,)
        if days == 400:  # nothing may be written for a plan, so it has no clock to compare; the execution has
            assert {decision.release for decision in report.spared} == {*ids[:3]}

    def test_the_writers_clock_cannot_either(self, root, builds):
        past = open_channel(root, clock=lambda: datetime.now(UTC) - timedelta(days=30))
        ids = [sync(past, builds[number]) for number in range(1, 5)]
        report = execute_prune(open_channel(root), plan_prune(open_channel(root), Rules(keep_last=1)))
        assert report.pruned == ()
        assert open_channel(root).release_ids() == (*ids,)

    def test_what_is_old_by_both_goes(self, root, builds):
        """By microseconds, for a link's ctime cannot be set."""
        past = open_channel(root, clock=lambda: datetime.now(UTC) - timedelta(days=30))
        ids = [sync(past, builds[number]) for number in range(1, 5)]
        channel = open_channel(root)
        rules = Rules(keep_last=1, grace=timedelta(microseconds=1), clock_error=timedelta(0))
        assert execute_prune(channel, plan_prune(channel, rules)).pruned == (*ids[:2],)
