import errno
import os
from pathlib import Path

import pytest

from efsprov.core.errors import IntegrityError, RootError
from efsprov.store.current import project, read_current
from efsprov.store.journal import append
from efsprov.store.publish import activate, rollback
from efsprov.store.repair import repair
from efsprov.store.verify import check_channel
from tests.store.faulty_ops import Fault, FaultyOps
from tests.store.minisync import open_channel, sync


@pytest.fixture
def two(channel, builds):
    """A channel with two releases; the ids."""
    return channel, sync(channel, builds[1]), sync(channel, builds[2])


def point(channel, text):
    channel.current.unlink()
    channel.current.symlink_to(text)


class TestReading:
    def test_names_the_release(self, two):
        channel, _, second = two
        assert read_current(channel) == second
        assert str(channel.current.readlink()) == f"releases/{second}"

    def test_missing_is_none(self, channel):
        channel.root.path.mkdir()
        assert read_current(channel) is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("/etc", "points to '/etc'"),
            ("../../../../../etc", "points to"),
            ("releases/../../../x", "points to"),
            ("releases", "points to 'releases'"),
            ("releases/20200101T000000Z-00000000", "20200101T000000Z-00000000, which it names, is not there"),
        ],
    )
    def test_broken_ones_are_refused(self, two, text, message):
        channel = two[0]
        point(channel, text)
        with pytest.raises(IntegrityError, match=message):
            read_current(channel)

    @pytest.mark.parametrize("folder", [True, False])
    def test_what_is_no_link_is_refused(self, two, folder):
        channel = two[0]
        channel.current.unlink()
        if folder:
            channel.current.mkdir()
        else:
            channel.current.write_text("releases/x")
        with pytest.raises(IntegrityError, match="is not a symbolic link"):
            read_current(channel)


class TestProjecting:
    def test_follows_the_journal(self, two):
        channel, first, _ = two
        append(channel, "rollback", first, after=4)
        assert project(channel)
        assert read_current(channel) == first
        assert not project(channel)

    @pytest.mark.parametrize("broken", ["/etc", "releases/20200101T000000Z-00000000", None, "a file"])
    def test_repairs_what_is_broken(self, two, broken):
        channel, _, second = two
        channel.current.unlink()
        if broken == "a file":
            channel.current.write_text("")
        elif broken:
            channel.current.symlink_to(broken)
        assert project(channel)
        assert read_current(channel) == second

    def test_does_nothing_in_a_channel_without_activations(self, channel, builds):
        sync(channel, builds[1], activate=False)
        assert not project(channel)
        assert read_current(channel) is None

    def test_sends_nobody_to_a_release_that_is_gone(self, two):
        channel, first, second = two
        append(channel, "activate", "20200101T000000Z-00000000", after=4)
        with pytest.raises(IntegrityError, match="it is not there"):
            project(channel)
        assert read_current(channel) == second
        assert first != second

    @pytest.mark.parametrize("inside", ["", "site", "site/a/b"])
    @pytest.mark.parametrize("trash", [True, False])
    def test_a_folder_in_the_place_is_moved_away(self, two, inside, trash):
        channel, _, second = two
        channel.current.unlink()
        (channel.current / inside).mkdir(parents=True)
        (channel.current / inside / "file").write_text("x")
        if not trash:
            channel.trash.rmdir()
        assert project(channel)
        assert read_current(channel) == second
        assert list(channel.path.glob(".current*")) == []
        assert [f.path.partition(".")[0] for f in check_channel(channel)] == ["trash/current"]
        repair(channel)
        assert check_channel(channel) == ()

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).mkdir(), lambda path: Path(path).touch()])
    @pytest.mark.parametrize("command", ["repair", "activate", "rollback", "sync"])
    def test_whoever_writes_next_puts_it_right(self, two, builds, make, command):
        channel, first, second = two
        channel.current.unlink()
        make(str(channel.current))
        assert "is not a symbolic link" in str(check_channel(channel))
        wanted = {"repair": second, "activate": second, "rollback": first}.get(command)
        if command == "repair":
            repair(channel)
        elif command == "sync":
            wanted = sync(channel, builds[3])
        elif command == "activate":
            activate(channel, second)
        else:
            rollback(channel)
        assert read_current(channel) == wanted
        assert channel.current.is_symlink()

    @pytest.mark.parametrize("at", [2, 3, 4])
    def test_a_call_whose_reply_is_lost_happened(self, two, at):
        channel, _, second = two
        channel.current.unlink()
        channel.current.mkdir()
        ops = FaultyOps(Fault("lost-reply", at, errno.EIO))
        assert project(open_channel(channel.root.path, ops=ops))
        assert read_current(channel) == second
        assert ops.calls[1:4] == ["symlink", "rename", "rename"]

    def test_another_writers_swap_in_between_is_put_right(self, two):
        """A publisher that was cut off swaps late: its rename went through although its lock was gone."""
        channel, first, second = two

        class Late(FaultyOps):
            swaps = 0

            def rename(self, source, target):
                super().rename(source, target)
                self.swaps += 1
                if self.swaps < 3:
                    point(channel, f"releases/{second}")

        late = open_channel(channel.root.path, ops=Late())
        append(channel, "rollback", first, after=4)
        assert project(late)
        assert read_current(channel) == first
        assert late.ops.swaps == 3

    def test_gives_up_when_others_never_stop(self, two):
        channel, first, second = two

        class Fighting(FaultyOps):
            def rename(self, source, target):
                super().rename(source, target)
                point(channel, f"releases/{second}")

        append(channel, "rollback", first, after=4)
        with pytest.raises(IntegrityError, match="other writers keep changing it"):
            project(open_channel(channel.root.path, ops=Fighting()))

    def test_a_temporary_link_that_somebody_cleaned_away_is_made_again(self, two):
        channel, first, _ = two

        class CleanedAway(FaultyOps):
            made = 0

            def symlink(self, text, path, *, dir_fd=None):
                super().symlink(text, path, dir_fd=dir_fd)
                self.made += 1
                if self.made == 1:
                    Path(path).unlink()

        append(channel, "rollback", first, after=4)
        assert project(open_channel(channel.root.path, ops=CleanedAway()))
        assert read_current(channel) == first

    @pytest.mark.parametrize("at", [2, 3])  # the link beside it, the rename
    @pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
    def test_what_fails_leaves_the_old_link_and_nothing_beside_it(self, two, at, code):
        channel, first, second = two
        append(channel, "rollback", first, after=4)
        with pytest.raises(RootError, match=os.strerror(code)):
            project(open_channel(channel.root.path, ops=FaultyOps(Fault("error", at, code))))
        assert read_current(channel) == second
        assert list(channel.path.glob(".current*")) == []
