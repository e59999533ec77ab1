import errno
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from efsprov.core.errors import BusyError, ConflictError, EfsprovError, RootError, SmokeError
from efsprov.store.layout import Root
from efsprov.store.publisher_lock import LOCK_FILE, is_locked, publisher_lock
from tests.store.faulty_ops import Fault, FaultyOps
from tests.store.minisync import NAME, TARGET, open_channel, sync

HOLD = (
    "import sys; from pathlib import Path; from tests.store.minisync import open_channel\n"
    "from efsprov.store.publisher_lock import publisher_lock\n"
    "with publisher_lock(open_channel(Path(sys.argv[1]), by='somebody@there[7]'), wait=True):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def holder(root):
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    if process.poll() is None:
        process.communicate("")
    process.stdin.close()
    process.stdout.close()


class TestHolding:
    def test_makes_the_channel_and_leaves_no_lock_behind(self, channel):
        with publisher_lock(channel, wait=True) as lock:
            lock.assert_held()
            assert is_locked(channel)
        assert not is_locked(channel)
        assert sorted(path.name for path in channel.path.iterdir()) == ["journal", "releases", "staging", "trash"]
        assert json.loads((channel.root.path / "efsprov.json").read_text()) == {"format": 1}

    def test_waits_for_another_publisher_and_says_for_whom(self, channel, holder):
        waited = []
        release = threading.Thread(target=holder.communicate, args=("",))

        def on_wait(who):
            waited.append(who)
            release.start()

        with publisher_lock(channel, wait=True, on_wait=on_wait):
            pass
        release.join()
        assert len(waited) == 1
        assert waited[0].startswith("somebody@there[7] since 20")

    def test_without_waiting_is_busy_and_changes_nothing(self, channel, holder, snapshot):
        before = snapshot()
        with (
            pytest.raises(BusyError, match=r"being published by somebody@there\[7\] since"),
            publisher_lock(channel, wait=False),
        ):
            raise AssertionError
        assert snapshot() == before

    def test_a_killed_publisher_holds_nothing(self, channel, holder):
        holder.kill()
        holder.wait()
        assert (channel.path / LOCK_FILE).exists()
        with publisher_lock(channel, wait=False) as lock:
            lock.assert_held()

    def test_many_publishers_hold_it_one_after_the_other(self, root, builds):
        """Also over the removal of the file: who opened the old one must not think that it holds the new one."""
        inside, most, order = [0], [0], threading.Lock()
        root.mkdir()

        def publisher():
            for _ in range(15):
                with publisher_lock(open_channel(root), wait=True) as lock:
                    with order:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                    lock.assert_held()
                    with order:
                        inside[0] -= 1

        threads = [threading.Thread(target=publisher) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1]

    def test_tells_the_time_by_the_file_systems_clock(self, channel):
        with publisher_lock(channel, wait=True) as lock:
            result = lock.server_time()
            stamp = (channel.path / LOCK_FILE).stat().st_mtime
        assert result.timestamp() == pytest.approx(stamp)


def lose_and_raise(channel, error):
    with publisher_lock(channel, wait=True):
        (channel.path / LOCK_FILE).unlink()
        raise error


class TestLosing:
    def test_a_file_that_was_replaced_is_another_lock(self, channel):
        with publisher_lock(channel, wait=True) as lock:
            (channel.path / LOCK_FILE).unlink()
            (channel.path / LOCK_FILE).write_text("")
            with pytest.raises(ConflictError, match="was lost"):
                lock.assert_held()
        assert (channel.path / LOCK_FILE).exists()  # it is somebody else's

    def test_a_write_that_fails_with_eio_means_that_it_was_lost(self, root):
        """Measured on NFSv4.1: so ends a write under a lock that the server has given away."""
        ops = FaultyOps()
        channel = open_channel(root, ops=ops)
        with publisher_lock(channel, wait=True) as lock:
            ops._fault = Fault("errors-from-then-on", len(ops.calls) + 1, errno.EIO)
            with pytest.raises(ConflictError, match="was lost"):
                lock.assert_held()
        assert (channel.path / LOCK_FILE).exists()

    def test_a_full_file_system_does_not(self, root):
        ops = FaultyOps()
        channel = open_channel(root, ops=ops)
        with publisher_lock(channel, wait=True) as lock:
            ops._fault = Fault("error", len(ops.calls) + 1, errno.ENOSPC)
            with pytest.raises(RootError, match="No space left on device"):
                lock.assert_held()

    def test_explains_a_root_error_of_the_block(self, channel):
        with pytest.raises(ConflictError, match="was lost") as caught:
            lose_and_raise(channel, RootError("Writing failed."))
        assert isinstance(caught.value.__cause__, RootError)

    def test_leaves_other_errors_as_they_are(self, channel):
        with pytest.raises(SmokeError):
            lose_and_raise(channel, SmokeError("It does not import."))


class TestFailing:
    @pytest.mark.parametrize("error", [SmokeError("no"), KeyboardInterrupt(), RootError("no")])
    def test_a_first_publisher_that_fails_leaves_no_root(self, channel, error):
        with pytest.raises(type(error)), publisher_lock(channel, wait=True):
            raise error
        assert not channel.root.path.exists()

    def test_a_root_that_was_there_stays_as_it_was(self, channel):
        channel.root.path.mkdir()
        (channel.root.path / "other").mkdir()
        with pytest.raises(SmokeError), publisher_lock(channel, wait=True):
            raise SmokeError("no")
        assert [path.name for path in channel.root.path.iterdir()] == ["other"]

    def test_other_channels_stay(self, channel, builds, snapshot):
        sync(channel, builds[1])
        before = {path for path in snapshot() if "/deps" in path}
        other = Root.open(channel.root.path, writing=True).channel("other", TARGET)
        with pytest.raises(SmokeError), publisher_lock(other, wait=True):
            raise SmokeError("no")
        assert {path for path in snapshot() if "/deps" in path} == before

    def test_a_second_publisher_that_waits_finds_its_folders(self, channel):
        """The first fails and takes its empty folders away while the second waits."""
        entered, failed = threading.Event(), threading.Event()

        def first():
            with suppress(SmokeError), publisher_lock(channel, wait=True):
                entered.set()
                failed.wait()
                raise SmokeError("no")

        thread = threading.Thread(target=first)
        thread.start()
        entered.wait()
        with publisher_lock(open_channel(channel.root.path), wait=True, on_wait=lambda _: failed.set()) as lock:
            thread.join()
            lock.assert_held()
            assert all(f.is_dir() for f in (channel.releases, channel.staging, channel.journal, channel.trash))
        assert channel.root.path.is_dir()

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
    def test_whatever_fails_while_it_is_taken_leaves_no_root(self, root, code):
        ops = FaultyOps()
        with publisher_lock(open_channel(root.with_name("counted"), ops=ops), wait=True):
            calls = len(ops.calls)
        for at in range(1, calls + 1):
            with (
                pytest.raises(EfsprovError),
                publisher_lock(open_channel(root, ops=FaultyOps(Fault("error", at, code))), wait=True),
            ):
                raise SmokeError("it did not fail")
            assert not root.exists(), ops.calls[at - 1]

    def test_a_dangling_link_in_its_place_is_reported_and_not_waited_for(self, channel, builds):
        sync(channel, builds[1])
        (channel.path / LOCK_FILE).symlink_to("/nowhere/at/all")
        with pytest.raises(RootError), publisher_lock(channel, wait=False):
            raise AssertionError


def test_whether_it_is_held_can_be_asked_of_what_does_not_exist(root):
    root.mkdir()
    assert not is_locked(Root.open(root).channel(NAME, TARGET))
    assert list(root.iterdir()) == []
