"""One flow for dependencies and models: what is there is used, what is not is made, what was left is cleared away."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from efsprov.core.errors import BusyError, ConflictError, EfsprovError
from efsprov.core.events import Suspended
from efsprov.pipeline.publish.publish_once import publish_once
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import read_current
from efsprov.store.journal import append, entry_name, read_entries, read_state
from efsprov.store.publish import activate, rollback
from efsprov.store.publisher_lock import LOCK_FILE, publisher_lock
from efsprov.store.verify import check_channel
from tests.store.faulty_ops import Fault, FaultyOps
from tests.store.minisync import Mini, build, open_channel, sync


@pytest.fixture
def builds(tmp_path):
    return {number: build(tmp_path, number) for number in (1, 2, 3, 4)}


@pytest.fixture
def channel(tmp_path):
    return open_channel(tmp_path / "root")


@dataclass(frozen=True)
class Failing(Mini):
    """A candidate that fills staging, and fails then, or refuses before."""

    error: BaseException | None = None
    refusals: dict[int, Exception] = field(default_factory=dict)
    checked: list[int] = field(default_factory=list)

    def check(self, channel, state):
        self.checked.append(state.last)
        if len(self.checked) in self.refusals:
            raise self.refusals[len(self.checked)]

    def make(self, lock, staging, since):
        made = super().make(lock, staging, since)
        if self.error:
            raise self.error
        return made


@dataclass(frozen=True)
class Request(Mini):
    """A candidate of a request that may arrive twice."""

    run: str = "0123456789abcdef"

    def make(self, lock, staging, since):
        listed, manifest = super().make(lock, staging, since)
        return listed, manifest.model_copy(update={"tx": self.run})


def publish(channel, candidate, *, activate=True, wait=False):
    events = []
    done = publish_once(channel, candidate, ProgressReporter(events.append), activate=activate, wait=wait)
    return done, [(event.step, event.state) for event in events if event.state != "progress"]


def test_what_is_not_there_is_made_and_made_current(channel, builds):
    done, output = publish(channel, Mini(builds[1]))
    assert (done.outcome, done.activated, done.before) == ("published", True, None)
    assert read_current(channel) == done.manifest.id
    assert ("activate", "finished") in output
    second, _ = publish(channel, Mini(builds[2]))
    assert second.before == done.manifest.id


def test_without_activation_current_stays(channel, builds):
    first = sync(channel, builds[1])
    done, output = publish(channel, Mini(builds[2]), activate=False)
    assert (done.outcome, done.activated) == ("published", False)
    assert read_current(channel) == first
    assert ("activate", "started") not in output
    again, _ = publish(channel, Mini(builds[2]), activate=False)
    assert (again.outcome, again.activated) == ("unchanged", False)


def test_what_is_current_is_nothing_to_do_and_waits_for_nobody(channel, builds):
    release = sync(channel, builds[1])
    last = read_state(channel).last
    with publisher_lock(channel, wait=False):
        done, output = publish(channel, Mini(builds[1]))
    assert (done.outcome, done.activated, done.before, done.manifest.id) == ("unchanged", True, None, release)
    assert (output, read_state(channel).last) == ([], last)


def test_what_was_current_once_becomes_current_again_when_nobody_publishes(channel, builds):
    first, second = sync(channel, builds[1]), sync(channel, builds[2])
    with publisher_lock(channel, wait=False), pytest.raises(BusyError):
        publish(channel, Mini(builds[1]))
    done, _ = publish(channel, Mini(builds[1]))
    assert (done.outcome, done.before, done.manifest.id) == ("reactivated", second, first)


def test_a_request_that_arrives_again_is_done_though_somebody_rolled_back(channel, builds):
    first = sync(channel, builds[1])
    made, _ = publish(channel, Request(builds[2]))
    rollback(channel)
    again, _ = publish(channel, Request(builds[2]))
    assert (again.outcome, again.activated, again.manifest.id) == ("published", False, made.manifest.id)
    assert read_current(channel) == first


def test_a_request_whose_release_was_never_current_goes_on_with_it(channel, builds):
    made, _ = publish(channel, Request(builds[1]), activate=False)
    again, _ = publish(channel, Request(builds[1]))
    assert (again.outcome, again.activated) == ("published", True)
    assert read_current(channel) == made.manifest.id


def while_waiting(channel, candidate, *, do):
    """Publish ``candidate`` while somebody else holds the lock, who does something, and lets go of it then."""
    waiting = threading.Event()

    def emit(event):
        if "waiting until that is done" in event.message:
            waiting.set()

    with ThreadPoolExecutor(1) as pool:
        with publisher_lock(channel, wait=False):
            mine = open_channel(channel.root.path)
            running = pool.submit(publish_once, mine, candidate, ProgressReporter(emit), activate=True, wait=True)
            assert waiting.wait(30)
            do()
        return running.result(30)


def test_who_waited_comes_after_whom_it_waited_for(channel, builds):
    first, second = sync(channel, builds[1]), sync(channel, builds[2])
    activate(channel, first)

    def others():
        activate(channel, second)
        activate(channel, first)
        activate(channel, second)

    activate(channel, second)
    done = while_waiting(channel, Mini(builds[1]), do=others)
    assert (done.outcome, done.manifest.id, done.before) == ("reactivated", first, second)


@pytest.mark.parametrize("number", [2, 3], ids=["a release that is there", "a new release"])
def test_a_rollback_while_it_waits_stays(channel, builds, number):
    """The operator's decision is younger than what was asked for before it."""
    first, _ = sync(channel, builds[1]), sync(channel, builds[2])
    third = sync(channel, builds[4])
    with pytest.raises(ConflictError, match=r"rollback .* published, but not made current"):
        while_waiting(channel, Mini(builds[number]), do=lambda: rollback(channel, to=first))
    assert read_current(channel) == first != third


def test_what_is_done_is_not_undone_by_somebody_who_activates_meanwhile(channel, builds):
    """Between the look at the journal and the answer, in which nobody holds a lock."""
    first, second = sync(channel, builds[1]), sync(channel, builds[2])

    class Overtaken(Mini):
        def read(self, channel, release):
            manifest = super().read(channel, release)
            if read_state(channel).current == second:
                activate(open_channel(channel.root.path), first)
            return manifest

    done, output = publish(channel, Overtaken(builds[2]))
    assert (done.outcome, done.manifest.id, output) == ("unchanged", second, [])
    assert read_current(channel) == first


def test_leftovers_that_cannot_be_cleared_away_are_no_failure(channel, builds):
    release = sync(channel, builds[1])
    leave_trash(channel)
    full = open_channel(channel.root.path, ops=FaultyOps(Fault("error", 1, errno.ENOSPC)))
    done, output = publish(full, Mini(builds[1]))
    assert (done.outcome, done.manifest.id) == ("unchanged", release)
    assert output == [("publish", "note")]


def leave_current_unswapped(channel):
    channel.current.unlink()


def leave_a_temporary_link(channel):
    (channel.path / ".current.0123456789abcdef").symlink_to("releases/x")


def leave_staging(channel):
    (channel.staging / "0123456789abcdef.0123456789abcdef" / "site").mkdir(parents=True)


def leave_trash(channel):
    (channel.trash / "20200101T000000Z-00000000.0123456789abcdef").mkdir()


def leave_a_lock(channel):
    (channel.path / LOCK_FILE).write_text("{}")


def leave_an_orphan(channel):
    (channel.releases / "20990101T000000Z-00000000").mkdir()


def leave_no_staging_folder(channel):
    channel.staging.rmdir()


@pytest.mark.parametrize(
    "leave",
    [
        leave_current_unswapped,
        leave_a_temporary_link,
        leave_staging,
        leave_trash,
        leave_a_lock,
        leave_an_orphan,
        leave_no_staging_folder,
    ],
)
def test_what_a_killed_writer_left_is_put_right_before_there_is_nothing_to_do(channel, builds, leave):
    release = sync(channel, builds[1])
    leave(channel)
    done, _ = publish(channel, Mini(builds[1]))
    assert (done.outcome, done.manifest.id) == ("unchanged", release)
    assert read_current(channel) == release
    assert check_channel(channel) == ()
    assert sorted(path.name for path in channel.path.iterdir()) == [
        "current",
        "journal",
        "releases",
        "staging",
        "trash",
    ]
    assert [*channel.staging.iterdir(), *channel.trash.iterdir()] == []


def test_staging_of_what_is_published_meanwhile_is_cleared_away(channel, builds):
    """Two runs of one lock: the first is killed while it copies, the second publishes, the first comes again."""
    sync(channel, builds[1])
    left = channel.staging / f"{builds[1].lock_digest[:16]}.0123456789abcdef"
    (left / "site").mkdir(parents=True)
    done, _ = publish(channel, Mini(builds[1]))
    assert done.outcome == "unchanged"
    assert list(channel.staging.iterdir()) == []


def test_what_fails_leaves_no_staging_and_what_is_suspended_does(channel, builds):
    sync(channel, builds[1])
    for error in OSError("x"), KeyboardInterrupt(), EfsprovError("x"):
        with pytest.raises(type(error)):
            publish(channel, Failing(builds[2], error=error))
        assert list(channel.staging.iterdir()) == []
    with pytest.raises(Suspended):
        publish(channel, Failing(builds[2], error=Suspended()))
    assert len(list(channel.staging.glob("*/site"))) == 1
    done, _ = publish(channel, Mini(builds[2]))
    assert done.outcome == "published"
    assert list(channel.staging.iterdir()) == []


@pytest.mark.parametrize("time", [1, 2], ids=["before the lock", "under it"])
def test_a_candidate_may_refuse_the_channel_as_it_is(channel, builds, time):
    sync(channel, builds[1])
    last = read_state(channel).last
    left = channel.staging / f"{builds[2].lock_digest[:16]}.0123456789abcdef"
    (left / "site").mkdir(parents=True)
    unwilling = Failing(builds[2], refusals={time: LookupError()})
    with pytest.raises(LookupError):
        publish(channel, unwilling)
    assert (read_state(channel).last, len(unwilling.checked)) == (last, time)
    assert (list(channel.staging.iterdir()) == []) == (time == 2)
    willing = Failing(builds[2])
    publish(channel, willing)
    assert willing.checked == [last, last], "before the lock, and again under it"


def test_a_damaged_release_of_the_same_digest_is_made_again(channel, builds):
    first = sync(channel, builds[1])
    (channel.release_path(first) / "site" / "framework" / "part.py").unlink()
    done, _ = publish(channel, Mini(builds[1]))
    assert done.outcome == "published"
    assert done.manifest.id > first


def test_a_release_that_was_journaled_but_not_renamed_is_not_taken_for_the_same(channel, builds):
    first = sync(channel, builds[1])
    append(channel, "publish", f"20990101T000000Z-{builds[2].lock_digest[:8]}", after=read_state(channel).last)
    done, _ = publish(channel, Mini(builds[2]))
    assert (done.outcome, done.before) == ("published", first)


def test_an_orphan_of_the_same_digest_is_recovered(channel, builds):
    sync(channel, builds[1])
    orphan = sync(channel, builds[2], activate=False)
    (channel.journal / entry_name(3)).unlink()
    fresh = open_channel(channel.root.path)  # entries that a channel has read are remembered
    done, _ = publish(fresh, Mini(builds[2]))
    assert (done.outcome, done.manifest.id) == ("reactivated", orphan)
    assert [entry.note for entry in read_entries(fresh) if entry.release == orphan and entry.do == "publish"] == [
        "adopted"
    ]
