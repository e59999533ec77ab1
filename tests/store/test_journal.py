import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from efsprov.core.errors import ConflictError, IntegrityError, RootError
from efsprov.store.fs.fileops import FileOps
from efsprov.store.journal import append, append_when, entry_name, read_entries, read_state
from tests.store.faulty_ops import Fault, FaultyOps
from tests.store.minisync import open_channel, sync

ID = "20261121T063000Z-3f2a9c1b"


@pytest.fixture
def started(channel, builds):
    """A channel with two entries."""
    sync(channel, builds[1])
    return channel


def entries_of(channel):
    return read_entries(open_channel(channel.root.path))


class TestReading:
    def test_a_channel_that_is_not_there_has_no_entries(self, channel):
        assert read_entries(channel) == ()

    def test_entries_come_in_the_order_of_their_numbers(self, started):
        assert [(entry.number, entry.do) for entry in read_entries(started)] == [(1, "publish"), (2, "activate")]

    def test_each_entry_is_read_once(self, started):
        before = read_entries(started)
        append(open_channel(started.root.path), "pin", ID, after=2)
        after = read_entries(started)
        assert after[0] is before[0]
        assert after[2].do == "pin"

    def test_many_entries_are_read_as_well(self, started):
        for number in range(2, 60):
            append(started, "pin", ID, after=number)
        assert [entry.number for entry in entries_of(started)] == list(range(1, 61))

    def test_other_names_are_no_entries(self, started):
        for name in (".nfs0001", "README", "1", "0000000x"):
            (started.journal / name).write_text("x")
        assert len(entries_of(started)) == 2

    def test_a_gap_is_refused_by_number(self, started):
        append(started, "pin", ID, after=2)
        (started.journal / entry_name(2)).unlink()
        with pytest.raises(IntegrityError, match=r"Entry 2 of the journal .* is missing"):
            entries_of(started)

    def test_a_huge_number_is_a_gap(self, started):
        (started.journal / "99999999999").symlink_to("{}")
        (started.journal / entry_name(2)).unlink()
        with pytest.raises(IntegrityError, match=r"is missing|is not a journal entry"):
            entries_of(started)

    @pytest.mark.parametrize("what", ["file", "folder", "text"])
    def test_what_is_no_entry_is_refused_by_name(self, started, what):
        entry = started.journal / entry_name(2)
        entry.unlink()
        if what == "file":
            entry.write_text("{}")
        elif what == "folder":
            entry.mkdir()
        else:
            entry.symlink_to("releases/x")
        with pytest.raises(IntegrityError, match="00000002 is not a journal entry"):
            entries_of(started)

    def test_a_journal_that_is_a_file_is_reported(self, started):
        for entry in started.journal.iterdir():
            entry.unlink()
        started.journal.rmdir()
        started.journal.write_text("")
        assert entries_of(started) == ()


class TestAppending:
    def test_an_entry_says_who_did_what_when(self, root, builds):
        at = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
        channel = open_channel(root, by="me@here[1]", clock=lambda: at, new_tx=lambda: "0123456789abcdef")
        release = sync(channel, builds[1])
        text = json.loads(str((channel.journal / "00000002").readlink()))
        assert text == {
            "tx": "0123456789abcdef",
            "do": "activate",
            "release": release,
            "at": "2026-11-21T06:30:00Z",
            "by": "me@here[1]",
        }

    def test_two_writers_cannot_both_append_a_number(self, started):
        append(started, "pin", ID, after=2)
        with pytest.raises(ConflictError, match="wrote: pin"):
            append(open_channel(started.root.path), "unpin", ID, after=2)
        assert [entry.do for entry in entries_of(started)] == ["publish", "activate", "pin"]

    @pytest.mark.parametrize("code", [errno.ENOENT, errno.EEXIST, errno.EIO])
    def test_a_lost_reply_is_distinguished_from_a_conflict_by_the_transaction(self, started, code):
        lying = open_channel(started.root.path, ops=FaultyOps(Fault("lost-reply", 1, code)))
        assert append(lying, "pin", ID, after=2).number == 3
        assert len(entries_of(started)) == 3

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
    def test_what_was_not_written_is_reported(self, started, code):
        failing = open_channel(started.root.path, ops=FaultyOps(Fault("error", 1, code)))
        with pytest.raises(RootError, match=os.strerror(code)):
            append(failing, "pin", ID, after=2)
        assert len(entries_of(started)) == 2

    @pytest.mark.parametrize(
        "note", ["x" * 5000, "\x01" * 5000, "\N{SNOWMAN}" * 5000, "\udcff\udcfe", 'quotes " and \\', "\0\n"]
    )
    def test_any_note_fits_into_a_link_on_efs(self, root, builds, note):
        channel = open_channel(root, by="\x02" * 300)
        sync(channel, builds[1])
        append(channel, "mark-bad", ID, after=2, note=note)
        assert len(os.fsencode((channel.journal / "00000003").readlink())) <= 4080
        assert entries_of(channel)[2].note[:20] in {note[:20], "??"}

    def test_appends_to_whatever_the_journal_holds(self, started):
        other = open_channel(started.root.path)
        seen = []

        def check(entries):
            seen.append(len(entries))
            if len(seen) == 1:
                append(other, "pin", ID, after=2)
            return True

        before, entry = append_when(started, "unpin", ID, check)
        assert (before.last, entry.number, seen) == (3, 4, [2, 3])

    def test_leaves_it_when_that_is_no_longer_needed(self, started):
        before, entry = append_when(started, "pin", ID, lambda entries: False)
        assert (before.last, entry, len(entries_of(started))) == (2, None, 2)

    def test_gives_up_when_others_never_pause(self, started):
        other = open_channel(started.root.path)

        def check(entries):
            append(other, "pin", ID, after=len(entries))
            return True

        with pytest.raises(ConflictError, match="without pause"):
            append_when(started, "unpin", ID, check)

    def test_the_journal_is_synchronised_with_every_entry(self, root, builds):
        class Watching(FileOps):
            def __init__(self):
                self.synchronised = []

            def fsync(self, fd):
                self.synchronised.append(Path(f"/proc/self/fd/{fd}").readlink().name)
                super().fsync(fd)

        channel = open_channel(root)
        sync(channel, builds[1])
        watched = open_channel(root, ops=Watching())
        append(watched, "pin", ID, after=2)
        assert watched.ops.synchronised == ["journal"]


def test_processes_that_append_at_once_make_one_line(started):
    code = (
        "import sys; from pathlib import Path; from tests.store.minisync import open_channel\n"
        "from efsprov.store.journal import append_when\n"
        "channel = open_channel(Path(sys.argv[1]), by=sys.argv[2])\n"
        f"for n in range(25): append_when(channel, 'pin', {ID!r}, lambda entries: True, note=str(n))\n"
    )
    argv = [sys.executable, "-c", code, str(started.root.path)]
    writers = [subprocess.Popen([*argv, f"writer-{n}"], cwd=Path(__file__).parents[2]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    entries = entries_of(started)[2:]
    assert len(entries) == 100
    for n in range(4):
        assert [entry.note for entry in entries if entry.by == f"writer-{n}"] == [str(k) for k in range(25)]
    assert read_state(started).last == 102
