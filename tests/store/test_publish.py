from datetime import UTC, datetime
from pathlib import Path

import pytest

from efsprov.core.errors import ConflictError, IntegrityError, NotFoundError, RootError
from efsprov.core.history import ACTIVATIONS
from efsprov.store.current import read_current
from efsprov.store.journal import append, entry_name, read_entries, read_state
from efsprov.store.publish import activate, activate_published, check_usable, mark, refuse_foreign, rollback
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import prepare_for_publishing
from efsprov.store.verify import check_channel, check_release, read_manifest
from tests.store.faulty_ops import AtTheDurablePoint, FaultyOps
from tests.store.minisync import open_channel, sync

UNKNOWN = "20200101T000000Z-00000000"


@pytest.fixture
def three(channel, builds):
    """A channel with three releases; the ids."""
    return channel, *(sync(channel, builds[number]) for number in (1, 2, 3))


def dos(channel):
    return [(entry.do, entry.release) for entry in read_entries(channel)]


class TestPublishing:
    def test_makes_a_whole_release_and_journals_it(self, channel, builds):
        release = sync(channel, builds[1], activate=False)
        assert dos(channel) == [("publish", release)]
        assert check_release(channel, release, full=True) == ()
        assert read_manifest(channel, release).tx == read_entries(channel)[0].tx
        assert read_current(channel) is None
        assert list(channel.staging.iterdir()) == []

    def test_ids_grow_though_the_clock_is_set_back(self, root, builds):
        first = sync(open_channel(root), builds[1])
        back = open_channel(root, clock=lambda: datetime(2001, 1, 1, tzinfo=UTC))
        assert sync(back, builds[2]) > first

    def test_the_same_lock_again_makes_no_second_release(self, channel, builds):
        first = sync(channel, builds[1])
        assert sync(channel, builds[1]) == first
        assert len(dos(channel)) == 2

    def test_shares_files_with_the_release_before(self, three):
        channel, first, second, _ = three
        inodes = {(channel.release_path(r) / "site/framework/part.py").stat().st_ino for r in (first, second)}
        assert len(inodes) == 1

    def test_what_another_publisher_published_meanwhile_is_a_conflict(self, channel, builds):
        """As a publisher finds it that was cut off while it copied."""
        sync(channel, builds[1])

        class Overtaken(AtTheDurablePoint):
            def meanwhile(self):
                append(open_channel(channel.root.path), "publish", UNKNOWN, after=2)

        with pytest.raises(ConflictError, match=f"publish {UNKNOWN}. Nothing was published"):
            sync(open_channel(channel.root.path, ops=Overtaken()), builds[2])
        assert len(channel.release_ids()) == 1
        assert list(channel.staging.iterdir()) == []

    def test_what_another_activated_meanwhile_is_not_undone(self, three, builds):
        """A rollback needs no lock: an emergency does not wait for a sync."""
        channel, _, second, third = three

        class Overtaken(AtTheDurablePoint):
            def meanwhile(self):
                rollback(open_channel(channel.root.path, by="operator"))

        with pytest.raises(ConflictError, match=r"changed by operator .*: rollback .* published, but not made current"):
            sync(open_channel(channel.root.path, ops=Overtaken()), builds[4])
        assert read_current(channel) == read_state(channel).current == second
        assert [do for do, _ in dos(channel)][-2:] == ["rollback", "publish"]
        assert check_channel(channel) == ()
        assert third in channel.release_ids()

    def test_a_folder_of_the_same_name_is_a_conflict_when_it_is_anothers(self, channel, builds):
        sync(channel, builds[1])

        class Overtaken(FaultyOps):
            """Another run publishes the same lock in the same second."""

            def rename(self, source, target):
                if "/releases/" in target:
                    sync_into(channel, builds[1], target)
                super().rename(source, target)

        def sync_into(channel, built, target):
            first = channel.release_path(read_state(channel).live[0].id)
            Path(target).mkdir()
            for name in ("release.json", "files.list"):
                (channel.releases / target / name).write_bytes((first / name).read_bytes())

        with pytest.raises(ConflictError, match="was published by another run meanwhile"):
            sync(open_channel(channel.root.path, ops=Overtaken()), builds[2])

    def test_staging_that_is_gone_is_reported(self, channel, builds):
        class Gone(FaultyOps):
            def rename(self, source, target):
                if "/releases/" in target:
                    raise FileNotFoundError(2, "No such file or directory")
                super().rename(source, target)

        with pytest.raises(RootError, match="Publishing the release failed"):
            sync(open_channel(channel.root.path, ops=Gone()), builds[2])


class TestActivating:
    def test_makes_a_release_current(self, three):
        channel, first, _, third = three
        assert activate(channel, first) == third
        assert read_current(channel) == read_state(channel).current == first

    def test_what_is_current_already_needs_no_entry(self, three):
        channel, _, _, third = three
        assert activate(channel, third) == third
        assert len(dos(channel)) == 6

    def test_repairs_the_link_also_when_the_journal_has_it_already(self, three):
        channel, _, _, third = three
        channel.current.unlink()
        activate(channel, third)
        assert read_current(channel) == third

    @pytest.mark.parametrize("act", [activate, lambda channel, release: rollback(channel, to=release)])
    def test_what_cannot_be_used_changes_nothing(self, three, snapshot, act):
        channel, first, second, _ = three
        mark(channel, "mark-bad", first, note="it crashes")
        (channel.release_path(second) / "site/framework/part.py").unlink()
        before = snapshot()
        with pytest.raises(NotFoundError, match=f"There is no release {UNKNOWN} in framework"):
            act(channel, UNKNOWN)
        with pytest.raises(IntegrityError, match=r"is marked bad: it crashes\."):
            act(channel, first)
        with pytest.raises(IntegrityError, match=r"is damaged: .*part\.py is missing"):
            act(channel, second)
        assert snapshot() == before

    def test_in_a_channel_that_is_not_there_is_reported(self, channel, root):
        root.mkdir()
        with pytest.raises(NotFoundError, match="no channel"):
            activate(channel, UNKNOWN)
        assert list(root.iterdir()) == []

    def test_a_mark_that_came_in_between_counts(self, three):
        channel, first, _, third = three

        class Marked(FaultyOps):
            marked = False

            def symlink(self, text, path, *, dir_fd=None):
                if not self.marked:
                    self.marked = True
                    mark(open_channel(channel.root.path), "mark-bad", first)
                super().symlink(text, path, dir_fd=dir_fd)

        with pytest.raises(IntegrityError, match="is marked bad"):
            activate(open_channel(channel.root.path, ops=Marked()), first)
        assert read_current(channel) == third

    def test_of_a_sync_is_refused_when_others_activated(self, three):
        channel, first, second, third = three
        since = read_state(channel)
        activate(channel, first)
        with pytest.raises(ConflictError, match=f"activate {first}"):
            activate_published(channel, second, since=since)
        assert activate_published(channel, first, since=since) == first
        assert third != first
        with pytest.raises(ConflictError):
            refuse_foreign(channel, since, release=second, actions=ACTIVATIONS)

    def test_of_a_sync_that_is_overtaken_before_it_returns_is_reported(self, three):
        """As where a publisher was cut off between the journal and the swap, and replaced."""
        channel, first, second, _ = three

        class Overtaken(FaultyOps):
            overtaken = False

            def rename(self, source, target):
                if not self.overtaken:
                    self.overtaken = True
                    activate(open_channel(channel.root.path, by="operator"), second)
                super().rename(source, target)

        late = open_channel(channel.root.path, ops=Overtaken())
        with pytest.raises(ConflictError, match=f"{first} .* is not current any more, operator changed that: activate"):
            activate_published(late, first, since=read_state(channel))
        assert read_current(channel) == second

    def test_of_a_sync_is_refused_when_the_release_was_marked_bad_meanwhile(self, three):
        channel, first, _, third = three
        since = read_state(channel)
        mark(channel, "mark-bad", first, note="seen in production")
        with pytest.raises(IntegrityError, match="is marked bad: seen in production"):
            activate_published(channel, first, since=since)
        assert read_current(channel) == third


class TestRollingBack:
    def test_goes_to_the_one_before_and_again_to_the_one_before_that(self, three):
        channel, first, second, third = three
        assert rollback(channel) == (third, second)
        assert rollback(channel) == (second, first)
        assert read_current(channel) == first

    def test_with_nothing_before_changes_nothing(self, channel, builds, snapshot):
        release = sync(channel, builds[1])
        before = snapshot()
        with pytest.raises(NotFoundError, match=f"There is no release before {release}"):
            rollback(channel)
        assert snapshot() == before

    def test_with_nothing_current_is_reported(self, channel, builds):
        sync(channel, builds[1], activate=False)
        with pytest.raises(NotFoundError, match="Nothing is current"):
            rollback(channel)

    def test_skips_what_is_bad_and_says_so_when_nothing_is_left(self, three):
        channel, first, second, third = three
        mark(channel, "mark-bad", second)
        assert rollback(channel) == (third, first)
        activate(channel, third)
        mark(channel, "mark-bad", first)
        with pytest.raises(NotFoundError, match="marked bad"):
            rollback(channel)

    def test_goes_where_it_is_sent(self, three):
        channel, first, _, third = three
        assert rollback(channel, to=first) == (third, first)
        assert rollback(channel, to=first) == (first, first)

    def test_refuses_the_release_before_when_it_is_damaged(self, three, snapshot):
        channel, _, second, _ = three
        (channel.release_path(second) / "site/framework/__init__.py").write_text("")
        before = snapshot()
        with pytest.raises(IntegrityError, match=r"__init__\.py has 0 bytes instead of"):
            rollback(channel)
        assert snapshot() == before

    @pytest.mark.parametrize("broken", ["missing", "dangling", "outside"])
    def test_needs_no_sound_current_because_the_journal_is_the_truth(self, three, broken):
        channel, _, second, third = three
        channel.current.unlink()
        if broken != "missing":
            channel.current.symlink_to("/etc" if broken == "outside" else f"releases/{UNKNOWN}")
        assert rollback(channel) == (third, second)
        assert read_current(channel) == second

    def test_a_journal_that_is_damaged_changes_nothing(self, three, snapshot):
        channel, first, _, _ = three
        (channel.journal / entry_name(7)).symlink_to("not json")
        before = snapshot()
        for act in (
            rollback,
            lambda c: activate(c, first),
            lambda c: mark(c, "pin", first),
            sync_nothing,
        ):
            with pytest.raises(IntegrityError, match="00000007 is not a journal entry: 'not json'"):
                act(open_channel(channel.root.path))
        assert {k: v[3] for k, v in snapshot().items()} == {k: v[3] for k, v in before.items()}


def sync_nothing(channel):
    with publisher_lock(channel, wait=True) as lock:
        prepare_for_publishing(lock, "0" * 16)


class TestMarking:
    def test_journals_a_remark(self, three):
        channel, first, _, _ = three
        for do in ("pin", "unpin", "mark-bad", "mark-good"):
            mark(channel, do, first, note="because")
        assert [do for do, _ in dos(channel)][6:] == ["pin", "unpin", "mark-bad", "mark-good"]
        assert read_entries(channel)[-1].note == "because"

    def test_what_holds_already_needs_no_entry(self, three):
        channel, first, _, _ = three
        for do in ("unpin", "mark-good", "pin", "pin"):
            mark(channel, do, first)
        assert [do for do, _ in dos(channel)][6:] == ["pin"]

    def test_a_new_reason_is_written_down(self, three):
        channel, first, _, _ = three
        mark(channel, "mark-bad", first, note="one")
        mark(channel, "mark-bad", first, note="two")
        assert read_state(channel).releases[first].bad == "two"

    def test_of_what_is_unknown_changes_nothing(self, three, snapshot):
        channel = three[0]
        before = snapshot()
        with pytest.raises(NotFoundError):
            mark(channel, "pin", UNKNOWN)
        assert snapshot() == before


def test_a_usable_release_is_published_whole_and_not_bad(three):
    channel, first, _, _ = three
    check_usable(channel, read_state(channel), first)
