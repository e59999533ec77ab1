import os

import pytest

from efsprov.core.errors import BusyError, NotFoundError
from efsprov.store.current import read_current
from efsprov.store.journal import append, read_entries, read_state
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import move_to_trash, prepare_for_publishing, repair
from efsprov.store.verify import check_channel, read_manifest
from tests.store.crash_programs import PROGRAMS
from tests.store.minisync import open_channel, sync

UNKNOWN = "20200101T000000Z-00000000"


@pytest.fixture
def one(channel, builds):
    return channel, sync(channel, builds[1])


def orphan(channel, built):
    """Publish a release and take its journal entry away: what a crash between rename and journal leaves."""
    last = read_state(channel).last
    release = sync(open_channel(channel.root.path), built, activate=False)
    (channel.journal / f"{last + 1:08d}").unlink()
    return release


class TestRepairing:
    def test_a_sound_channel_does_nothing(self, one, snapshot):
        channel, _ = one
        before = {path: what[3] for path, what in snapshot().items()}
        assert repair(channel) == ()
        assert {path: what[3] for path, what in snapshot().items()} == before

    def test_everything_that_killed_writers_leave(self, channel, builds):
        PROGRAMS["repair"].start(channel, builds)
        channel = open_channel(channel.root.path)
        lines = repair(channel)
        assert check_channel(channel) == ()
        kinds = ("not journaled", "is not a whole release", "left by a writer", "current names")
        assert [kind for kind in kinds if not any(kind in line for line in lines)] == []
        assert repair(channel) == ()

    def test_a_release_that_was_not_journaled_is_recovered(self, one, builds):
        channel, _ = one
        release = orphan(channel, builds[2])
        assert repair(channel) == (f"release {release} was published, but not journaled: it is now",)
        entry = read_entries(channel)[-1]
        assert (entry.do, entry.release, entry.note) == ("publish", release, "adopted")
        assert entry.tx == read_manifest(channel, release).tx
        assert read_state(channel).current == one[1]

    def test_a_release_that_is_not_whole_is_removed(self, one, builds):
        channel, _ = one
        release = orphan(channel, builds[2])
        (channel.release_path(release) / "pylock.toml").unlink()
        assert repair(channel) == (f"releases/{release} was pruned or is not a whole release: removed",)
        assert channel.release_ids() == (one[1],)

    def test_a_release_that_the_journal_knows_stays_even_when_it_is_damaged(self, one):
        channel, release = one
        (channel.release_path(release) / "pylock.toml").unlink()
        assert repair(channel) == ()
        assert channel.release_ids() == (release,)

    def test_a_current_release_that_is_gone_is_reported_and_keeps_nobody_from_publishing(self, one, builds):
        channel, release = one
        channel.release_path(release).rename(channel.root.path / "gone")
        (line,) = repair(channel)
        assert "it is not there" in line
        assert sync(channel, builds[2]) == read_current(channel)

    def test_what_is_foreign_in_the_releases_stays(self, one):
        channel, _ = one
        (channel.releases / "lost+found").mkdir()
        assert repair(channel) == ()
        assert (channel.releases / "lost+found").is_dir()

    def test_a_channel_that_is_not_there_is_reported(self, channel, root):
        root.mkdir()
        with pytest.raises(NotFoundError):
            repair(channel)
        assert list(root.iterdir()) == []

    def test_waits_for_a_publisher_or_is_busy(self, one):
        channel, _ = one
        with publisher_lock(open_channel(channel.root.path), wait=True), pytest.raises(BusyError):
            repair(channel, wait=False)


class TestPreparing:
    def test_gives_a_staging_folder_of_its_own(self, one):
        channel, _ = one
        with publisher_lock(channel, wait=True) as lock:
            first, second = (prepare_for_publishing(lock, "a" * 16) for _ in range(2))
        assert first.staging.parent == channel.staging
        assert first.staging.name.startswith("a" * 16)
        assert first.staging != second.staging
        assert not first.staging.exists()
        assert not first.resumed
        assert first.state == read_state(channel)

    def test_hands_on_what_a_killed_run_of_the_same_lock_left(self, one):
        channel, _ = one
        (channel.staging / f"{'a' * 16}.1" / "site").mkdir(parents=True)
        (channel.staging / f"{'a' * 16}.1" / "site" / "x").write_text("x")
        (channel.staging / f"{'a' * 16}.1.copied").write_text("")
        (channel.staging / f"{'b' * 16}.2").mkdir()
        with publisher_lock(channel, wait=True) as lock:
            report = prepare_for_publishing(lock, "a" * 16)
        assert report.resumed
        assert report.removed == (f"staging/{'b' * 16}.2",)
        assert (report.staging / "site" / "x").read_text() == "x"
        assert sorted(path.name for path in channel.staging.iterdir()) == [
            report.staging.name,
            f"{report.staging.name}.copied",
        ]

    def test_hands_on_the_newest_when_there_are_several(self, one):
        channel, _ = one
        for number, name in enumerate(("old", "new")):
            folder = channel.staging / f"{'a' * 16}.{name}"
            folder.mkdir()
            (folder / name).write_text("")
            os.utime(folder, (number, number))
        with publisher_lock(channel, wait=True) as lock:
            report = prepare_for_publishing(lock, "a" * 16)
        assert [path.name for path in report.staging.iterdir()] == ["new"]
        assert len(list(channel.staging.iterdir())) == 1

    def test_another_locks_staging_is_not_handed_on(self, one):
        channel, _ = one
        (channel.staging / "abcd.1").mkdir()
        (channel.staging / "abcde.1").mkdir()
        with publisher_lock(channel, wait=True) as lock:
            report = prepare_for_publishing(lock, "ab")
        assert not report.resumed
        assert list(channel.staging.iterdir()) == []


class TestTrash:
    def test_takes_a_release_out_of_sight_in_one_step(self, one):
        channel, release = one
        place = move_to_trash(channel, release)
        assert place.parent == channel.trash
        assert channel.release_ids() == ()
        assert move_to_trash(channel, release) is None

    def test_is_made_when_somebody_removed_it(self, one):
        channel, release = one
        channel.trash.rmdir()
        assert move_to_trash(channel, release) is not None

    def test_is_emptied_when_something_went_wrong_before(self, one):
        channel, release = one
        append(channel, "prune", release, after=2)
        repair(channel)
        assert channel.release_ids() == (
            release,
        )  # current: the journal's last activation stays, whatever it says else
