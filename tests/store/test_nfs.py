"""The store on NFSv4.1: a real server, two real Linux clients, and what befalls them (docs/explanation/faults.md)."""

import os
import sys
import time
from pathlib import Path

import pytest

from devtools.nfs_lab import MOUNT_OPTIONS, Fault
from devtools.nfs_lab.fixtures import nfs_guest, no_guest, shared_guest
from devtools.nfs_lab.guest import MOUNTS
from tests.store.minisync import NAME, TARGET
from tests.store.nfs_client import Refused, Worker

__all__ = ["nfs_guest", "no_guest", "shared_guest"]
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

HERE = Path(__file__).parents[2]
DURABLE_POINT = ("syncfs", "", 2)  # the first settles what others wrote before
SHIM = (
    "import efsprov.bootstrap as shim, framework, framework.part\n"
    f"print(shim.releases[{NAME!r}].id, framework.NUMBER, framework.part.answer())"
)


@pytest.fixture
def workers(nfs_guest):
    """A worker on each client."""
    both = [Worker(nfs_guest, client) for client in ("a", "b")]
    return [worker.ready() for worker in both]


def shim(guest, client):
    """What the shim pins and a program imports, in a fresh process on a client."""
    run = guest.run(client, [sys.executable, "-c", SHIM], env=shim_environment(client), check=True)
    return tuple(run.stdout.split())


def shim_environment(client):
    return {
        "EFSPROV_ROOT": f"{MOUNTS[client]}/root",
        "EFSPROV_CHANNEL": NAME,
        "EFSPROV_TARGET": TARGET,
        "PYTHONPATH": str(HERE),
    }


def sound(worker, channel=NAME):
    """The journal is in line, `current` is where it says, and verify finds nothing. Returns the journal."""
    entries = worker.ask("entries", channel=channel)
    assert [entry[0] for entry in entries] == list(range(1, len(entries) + 1))
    by_journal, by_link = worker.ask("current", channel=channel)
    assert by_journal == by_link
    assert worker.ask("findings", channel=channel) == []
    return entries


class TestReaders:
    def test_the_shim_sees_a_swap_at_once_on_a_client_that_knows_the_old_one(self, nfs_guest, workers):
        a, b = workers
        first = a.ask("sync", number=1)
        assert shim(nfs_guest, "b") == (first, "1", "42")
        second = a.ask("sync", number=2)
        assert shim(nfs_guest, "b") == (second, "2", "42")
        a.ask("rollback")
        assert shim(nfs_guest, "b") == (first, "1", "42")
        assert b.ask("current") == [first, first]

    def test_who_opens_the_folder_first_sees_it_at_once_and_who_does_not_within_a_minute(self, nfs_guest, workers):
        """On a mount as AWS recommends it, whose client remembers names for up to 60 s (acdirmax)."""
        a, b = workers
        first = a.ask("sync", number=1)
        for _ in range(3):
            assert b.ask("by_path") == [first, "NUMBER = 1"]
        second = a.ask("sync", number=2)
        assert b.ask("by_folder") == second
        a.ask("rollback")
        since, seen = time.monotonic(), []
        while not seen or seen[-1] == second:
            release, text = b.ask("by_path")
            seen.append(release)
            assert (release, text) in {(first, "NUMBER = 1"), (second, "NUMBER = 2")}  # whole, whichever it is
            assert time.monotonic() - since < 90  # 60 s and what a busy machine adds
            time.sleep(0.5)
        assert b.ask("by_folder") == first

    def test_a_name_that_was_missing_is_found_by_who_asks_the_server(self, nfs_guest, workers):
        a, b = workers
        release = a.ask("sync", number=1)
        path = f"deps/{NAME}/{TARGET}/journal/00000003"
        assert b.ask("there", path=path) == [False, False]
        a.ask("append_pin", release=release, after=2)
        assert b.ask("there", path=path)[1]
        assert len(b.ask("entries")) == 3

    def test_a_process_keeps_its_release_while_another_client_rolls_back_and_prunes(self, nfs_guest, workers):
        a, _ = workers
        a.ask("sync", number=1)
        mine = a.ask("sync", number=2, modules=12)
        process = nfs_guest.start("b", [sys.executable, "-c", IMPORTING], env=shim_environment("b"))
        process.wait_for(f"pinned {mine}\n")
        a.ask("rollback")
        for number in range(3, 9):
            process.write(f"{number}\n")
            process.wait_for(f"(2, {number})\n")
            a.ask("sync", number=number)
            a.ask("prune", grace=True)
        for number in (1, 2, 9, 10, 11):
            process.write(f"{number}\n")
            process.wait_for(f"(2, {number})\n")
        process.close_input()
        process.wait_for("ended\n")
        assert mine in {entry[2] for entry in sound(a)}

    def test_a_read_only_mount_is_enough_for_the_shim_and_is_not_written_to(self, nfs_guest, workers):
        release = workers[0].ask("sync", number=1)
        nfs_guest.kill_programs()
        before = tree(nfs_guest)
        nfs_guest.remount("b", f"{MOUNT_OPTIONS},ro")
        assert shim(nfs_guest, "b") == (release, "1", "42")
        assert tree(nfs_guest) == before
        assert nfs_guest.rpcs("b").ops.get("WRITE", 0) == 0
        reader = Worker(nfs_guest, "b").ready()
        assert reader.ask("findings") == []
        with pytest.raises(Refused, match="read-only"):
            reader.ask("sync", number=2)


IMPORTING = """
import importlib, sys
import efsprov.bootstrap as shim, framework
print("pinned", shim.releases["framework"].id, flush=True)
for line in sys.stdin:
    print(importlib.import_module(f"framework.lazy_{line.strip()}").VALUE, flush=True)
print("ended", flush=True)
"""


def tree(guest):
    """Everything on the server, with sizes and times."""
    found = guest.run("server", ["find", "/mnt/export/root", "-printf", "%P %y %s %T@ %C@ %l\n"], check=True)
    return sorted(found.stdout.splitlines())


class TestWriters:
    def test_a_stale_writer_is_refused_by_the_journal_and_goes_on_with_what_it_holds(self, nfs_guest, workers):
        a, b = workers
        release = a.ask("sync", number=1)
        assert len(b.ask("entries")) == 2
        a.ask("append_pin", release=release, after=2)
        with pytest.raises(Refused, match="ConflictError"):
            b.ask("append_pin", release=release, after=2)
        assert b.ask("activate", release=release) == release
        assert len(sound(b)) == 3

    def test_one_publisher_waits_for_another_or_says_who_it_is(self, nfs_guest, workers):
        a, b = workers
        a.ask("sync", number=1)
        held = a.start("sync", number=2, pause=DURABLE_POINT).paused()
        with pytest.raises(Refused, match=r"BusyError: .*being published by worker-a since"):
            b.ask("sync", number=3, wait=False)
        waiting = b.start("sync", number=3)
        a.ask("go")
        second, third = held.result(), waiting.result()
        assert [entry[1:3] for entry in sound(b)][2:] == [
            ["publish", second],
            ["activate", second],
            ["publish", third],
            ["activate", third],
        ]

    def test_an_emergency_rollback_does_not_wait_for_a_sync(self, nfs_guest, workers):
        a, b = workers
        first, second = a.ask("sync", number=1), a.ask("sync", number=2)
        held = a.start("sync", number=3, pause=DURABLE_POINT).paused()
        assert b.ask("rollback") == [second, first]
        assert b.ask("current") == [first, first]
        a.ask("go")
        with pytest.raises(Refused, match=r"ConflictError: .*changed by worker-b during this sync: rollback"):
            held.result()
        assert [entry[1] for entry in sound(b)][-2:] == ["rollback", "publish"]
        assert a.ask("current") == [first, first]

    def test_two_publishers_at_once_lose_nothing(self, nfs_guest, workers):
        many_syncs(workers, each=6)

    @pytest.mark.slow
    def test_two_publishers_of_two_hundred_syncs_each_lose_nothing(self, nfs_guest, workers):
        many_syncs(workers, each=200)

    def test_a_killed_publishers_work_is_resumed(self, nfs_guest, workers):
        a, b = workers
        a.ask("sync", number=1)
        a.start("sync", number=2, extra=20, pause=DURABLE_POINT).paused()
        a.process.kill()
        assert len(b.ask("entries")) == 2
        release = b.ask("sync", number=2, extra=20)
        assert b.ask("current") == [release, release]
        sound(b)

    def test_what_a_process_of_this_machine_holds_open_is_pruned_the_next_time(self, nfs_guest, workers):
        a, b = workers
        ids = [a.ask("sync", number=number) for number in range(1, 5)]
        reader = Worker(nfs_guest, "a", "reader").ready()
        reader.ask("open_file", release=ids[0])
        report = a.ask("prune")
        assert report["pruned"] == ids[:2]
        assert [line for line in report["left"] if ".nfs" in line or "not empty" in line] == report["left"] != []
        assert b.ask("current") == [ids[3], ids[3]]
        reader.ask("close_file")
        assert a.ask("prune") == {"pruned": [], "left": [], "spared": []}
        sound(b)

    def test_the_age_of_what_was_just_replaced_is_asked_of_the_server(self, nfs_guest, workers):
        a, _ = workers
        for number in range(1, 5):
            a.ask("sync", number=number)
        assert a.ask("prune", grace=True) == {"pruned": [], "left": [], "spared": []}


def many_syncs(workers, *, each):
    running = [worker.start("syncs", first=1000 * (n + 1), count=each) for n, worker in enumerate(workers)]
    done = [one.result(timeout=3600) for one in running]
    entries = sound(workers[0])
    assert entries == sound(workers[1])
    published = [entry[2] for entry in entries if entry[1] == "publish"]
    assert len(published) == len(set(published)) == 2 * each
    assert {release for some in done for release in some} <= set(published)
    assert published == sorted(published)


class TestCutOff:
    def test_a_publisher_that_was_cut_off_and_replaced_notices(self, nfs_guest, workers):
        """Paused at four places, each in a channel of its own, while the server gives its locks to another client."""
        a, b = workers
        places = {
            "before-asking": (DURABLE_POINT, False),  # it will ask whether it still has the lock
            "before-rename": (("rename", "/releases/"), False),  # it has just asked
            "before-journal": (("rename", "/releases/"), True),  # its release is in place
            "before-swap": (("rename", "/.current."), False),  # it is in the journal already
        }
        first = {channel: a.ask("sync", number=1, channel=channel) for channel in places}
        late = {}
        for channel, (pause, after) in places.items():
            late[channel] = a.start("sync", number=2, channel=channel, pause=pause, after=after).paused()
        nfs_guest.partition("a")
        replaced = {channel: b.start("sync", number=3, channel=channel) for channel in places}
        third = {channel: sync.result(timeout=180) for channel, sync in replaced.items()}
        nfs_guest.heal("a")
        a.ask("go")
        messages = []
        for channel, sync in late.items():
            with pytest.raises(Refused) as refused:
                sync.result(timeout=180)
            assert refused.value.kind == "ConflictError", (channel, refused.value)
            messages.append(refused.value.message)
            entries = sound(b, channel)
            assert b.ask("current", channel=channel) == [third[channel]] * 2
            assert a.ask("current", channel=channel) == [third[channel]] * 2
            published = [entry[2] for entry in entries if entry[1] == "publish"]
            recovered = channel in {"before-journal", "before-swap"}
            assert (published[0], published[-1], len(published)) == (first[channel], third[channel], 2 + recovered)
        assert "lock of before-asking (" in messages[0]
        assert "lock of before-rename (" in messages[1]  # its staging was cleaned away: the rename found nothing
        assert "was published, but not made current" in messages[2]
        assert "is not current any more, worker-b changed that: activate" in messages[3]

    def test_a_server_that_is_restarted_in_the_middle_of_a_sync(self, nfs_guest, workers):
        """It goes on, or fails clean: its lock may be another's by then."""
        a, b = workers
        first = a.ask("sync", number=1)
        sync = a.start("sync", number=2, extra=150, pause=("open", "20.bin"), after=True).paused()
        nfs_guest.kill_server()
        a.start("go")
        nfs_guest.start_server()
        nfs_guest.await_server()
        try:
            expected = sync.result(timeout=180)
        except Refused as refused:
            if refused.kind not in {"ConflictError", "RootError"}:
                raise
            expected = first
        assert b.ask("current") == [expected, expected]
        if expected == first:
            b.ask("repair")  # what could not be removed while the server was away
        sound(b)
        last = b.ask("sync", number=4)
        assert a.ask("current") == [last, last]


class TestFailedWrites:
    def test_the_kernel_tells_each_descriptor_and_a_later_one_only_what_nobody_was_reported(self, nfs_guest):
        """The model of tests/store/test_durability.py."""
        asking = nfs_guest.start("a", [sys.executable, "-c", ASKING], cwd=HERE)
        asking.wait_for("opened\n")
        lose_a_write(nfs_guest)
        asking.close_input()
        asking.wait_for("later True, latest False, earlier True, earlier again False\n")

    def test_what_another_program_lost_before_is_not_taken_for_the_publishers_own(self, nfs_guest, workers):
        a, b = workers
        a.ask("sync", number=1)
        lose_a_write(nfs_guest)
        second = a.ask("sync", number=2)
        assert b.ask("current") == [second, second]
        sound(b)

    def test_what_a_killed_publisher_had_copied_is_gone_on_with_when_another_write_was_lost(self, nfs_guest, workers):
        a, _ = workers
        a.ask("sync", number=1)
        a.start("sync", number=2, extra=20, pause=DURABLE_POINT).paused()
        a.process.kill()
        lose_a_write(nfs_guest)
        again = Worker(nfs_guest, "a", "again").ready()
        before = nfs_guest.rpcs("a")
        again.ask("sync", number=2, extra=20)
        spent = nfs_guest.rpcs("a") - before
        assert spent.ops["WRITE"] < 20  # its manifest, its list, the journal, the lock
        sound(again)


ASKING = """
import os, sys
from efsprov.store.fs.fileops import FileOps
def told(fd):
    try: FileOps().syncfs(fd)
    except OSError: return True
    return False
earlier = os.open("/mnt/a", os.O_RDONLY)
print("opened", flush=True)
sys.stdin.read()
later = told(os.open("/mnt/a", os.O_RDONLY))
latest = told(os.open("/mnt/a", os.O_RDONLY))
print(f"later {later}, latest {latest}, earlier {told(earlier)}, earlier again {told(earlier)}", flush=True)
"""
LOSING = """
import os
fd = os.open("/mnt/a/lost", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"lost")
try: os.fsync(fd)
except OSError as error: print(error.strerror)
"""


def lose_a_write(guest):
    """Let a program's write fail on client a, and all writes succeed again."""
    guest.restart_server(Fault("WRITE", "errno", nth=1, count=10_000, error=5))
    assert guest.run("a", [sys.executable, "-c", LOSING], check=True).stdout == "Input/output error\n"
    guest.restart_server()


class TestLostReplies:
    """The server executes an operation and dies before it replies; another one starts and knows nothing of it."""

    @pytest.mark.parametrize(
        ("operation", "nth"),
        [("RENAME", 2), ("SYMLINK", 1)],
        ids=["the-release", "the-journal"],
    )
    def test_a_publisher_knows_its_own_success(self, nfs_guest, workers, operation, nth):
        publish_with_a_dying_server(nfs_guest, workers, Fault(operation, "die-after", nth=nth))

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("operation", "nth"),
        [("RENAME", 1), ("RENAME", 3), ("SYMLINK", 2), ("SYMLINK", 3), ("MKDIR", 1), ("MKDIR", 2), ("REMOVE", 1)],
    )
    def test_a_publisher_knows_its_own_success_or_fails_clean(self, nfs_guest, workers, operation, nth):
        publish_with_a_dying_server(nfs_guest, workers, Fault(operation, "die-after", nth=nth))

    def test_a_connection_that_is_cut_before_the_reply_is_no_failure(self, nfs_guest, workers):
        publish_with_a_dying_server(nfs_guest, workers, Fault("RENAME", "cut-after", nth=2))


def publish_with_a_dying_server(guest, workers, fault):
    a, b = workers
    first = a.ask("sync", number=1)
    deaths = guest.server_deaths()
    guest.restart_server(fault)
    try:
        second = a.ask("sync", number=2)
    except Refused as refused:
        # the lock was lost with the server, before anything was published
        if refused.kind != "ConflictError" or (fault.operation, fault.nth) not in {
            ("MKDIR", 1),
            ("MKDIR", 2),
            ("RENAME", 1),
        }:
            raise
        second = first
    assert guest.server_deaths() - deaths == (fault.action == "die-after")
    assert b.ask("current") == [second, second]
    b.ask("repair")
    assert len(sound(b)) == (2 if second == first else 4)


def test_the_workers_run_on_nfs(nfs_guest, workers):
    mounts = nfs_guest.run("a", ["cat", "/proc/mounts"]).stdout
    assert [line for line in mounts.splitlines() if " /mnt/a nfs4 " in line]
    assert os.fspath(HERE)
