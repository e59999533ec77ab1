"""What of the runs' resources goes and what stays: one pure function."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from efsprov.aws.tagged import Tagged
from efsprov.builders.ec2.leftovers import GRACE, plan_reaping
from efsprov.builders.ec2.run_record import Process, RunRecord
from efsprov.core.tags import EXPIRES, MARKED, RUN, write_time

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GONE = Process(host=Process.own().host, boot="another", pid=1, started="1")
ELSEWHERE = Process(host="elsewhere.example.com", boot="b", pid=1, started="1")


def one(run="run-1", expires=NOW - timedelta(hours=1), marked=None, **tags):
    result = {
        RUN: run,
        **({EXPIRES: write_time(expires)} if expires else {}),
        **({MARKED: write_time(marked)} if marked else {}),
        **tags,
    }
    return Tagged("instance", "i-1", "efsprov-run-1", "eu-central-1", result)


def record(process=GONE, *, kept=False, expires=NOW + timedelta(hours=1)):
    return RunRecord(
        run="run-1",
        region="eu-central-1",
        account="1",
        process=process,
        created=NOW - timedelta(hours=2),
        expires=expires,
        kept=kept,
    )


def action(resource, records=None, **options):
    (planned,) = plan_reaping([resource], records or {}, now=NOW, **options)
    return planned.action


def test_what_has_expired_is_marked_and_removed_by_a_later_look():
    assert action(one()) == "mark"
    assert action(one(marked=NOW - timedelta(minutes=1))) == "leave"
    assert action(one(marked=NOW - GRACE)) == "remove"
    assert action(one(), at_once=True) == "remove"


def test_what_has_not_expired_and_may_be_at_work_stays():
    assert action(one(expires=NOW + timedelta(minutes=1)), at_once=True) == "leave"
    assert action(one(expires=NOW + timedelta(minutes=1)), {"run-1": record(ELSEWHERE)}, at_once=True) == "leave"


def test_what_an_orchestrator_of_this_machine_left_is_a_leftover_before_it_expires():
    fresh = one(expires=NOW + timedelta(hours=1))
    assert action(fresh, {"run-1": record()}) == "mark"
    assert action(fresh, {"run-1": record()}, at_once=True) == "remove"


def test_what_was_kept_for_debugging_stays_until_it_expires_or_is_named():
    fresh, kept = one(expires=NOW + timedelta(hours=1)), {"run-1": record(kept=True)}
    assert action(fresh, kept, at_once=True) == "leave"
    assert action(one(), kept, at_once=True) == "remove"
    assert action(fresh, kept, run="run-1") == "remove"


def test_a_run_at_work_on_this_machine_stays_whatever_is_asked():
    mine = {"run-1": record(Process.own())}
    for options in ({}, {"at_once": True}, {"run": "run-1"}, {"run": "run-1", "at_once": True}):
        assert action(one(), mine, **options) == "leave"


def test_an_expiry_that_efsprov_did_not_write_means_hands_off():
    for expires in (None, "", "tomorrow", "2026-11-21"):
        tags = {} if expires is None else {EXPIRES: expires}
        assert action(one(expires=None, **tags), at_once=True) == "leave"
        assert action(one(expires=None, **tags), run="run-1") == "leave"


def test_a_named_run_is_all_that_is_inspected():
    assert [p.resource.run for p in plan_reaping([one("a"), one("b")], {}, now=NOW, run="b")] == ["b"]


times = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


@given(
    st.none() | times,
    st.none() | times,
    st.booleans(),
    st.none() | st.builds(record, st.sampled_from([GONE, ELSEWHERE, Process.own()]), kept=st.booleans()),
)
def test_nothing_that_may_be_in_use_is_ever_removed_unnamed(expires, marked, at_once, known):
    (planned,) = plan_reaping(
        [one(expires=expires, marked=marked)], {"run-1": known} if known else {}, now=NOW, at_once=at_once
    )
    assert planned.why
    if planned.action == "leave":
        return
    written = expires is not None
    expired = written and write_time(expires) <= write_time(NOW)
    abandoned = known is not None and known.process == GONE and not known.kept
    assert written
    assert expired or abandoned
    assert known is None or known.process != Process.own()
    if planned.action == "remove" and not at_once:
        assert marked is not None
        assert NOW - marked.replace(microsecond=0) >= GRACE
