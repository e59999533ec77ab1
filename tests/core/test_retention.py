from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.core.errors import UsageError
from efsprov.core.history import Entry, fold
from efsprov.core.retention import Clocks, Rules, decide

IDS = tuple(f"202611{n + 10}T000000Z-{n:08x}" for n in range(12))
NOW = datetime(2026, 12, 24, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def journal(*actions):
    """Entries from (do, release, age): ``age`` is how long ago, by everybody's clock."""
    return tuple(
        Entry(number=n, tx=f"{n:016x}", do=do, release=release, at=NOW - age, by="me")
        for n, (do, release, age) in enumerate(actions, 1)
    )


def released(*pairs):
    return [(do, release, age) for release, age in pairs for do in ("publish", "activate")]


def decided(actions, rules, **clocks):
    decisions = decide(fold(journal(*actions)), rules, Clocks(NOW, **clocks), IDS)
    return {decision.release: decision for decision in decisions}


def kept(actions, rules, **clocks):
    return [release for release, decision in decided(actions, rules, **clocks).items() if decision.keep]


OLD = [(release, (40 - n) * DAY) for n, release in enumerate(IDS)]
ALL_AGES = Rules(keep_last=1, grace=timedelta(0))


class TestRules:
    def test_the_last_five_stay_by_default(self):
        assert kept(released(*OLD), Rules()) == [*IDS[-5:]]

    def test_current_and_previous_stay_when_others_are_newer(self):
        actions = [*released(*OLD), ("rollback", IDS[3], DAY)]
        assert kept(actions, ALL_AGES) == [IDS[2], IDS[3], IDS[-1]]

    def test_the_one_before_stays_also_when_it_is_bad_and_a_rollback_would_skip_it(self):
        actions = [*released(*OLD), ("mark-bad", IDS[-2], DAY)]
        assert kept(actions, ALL_AGES) == [IDS[-3], IDS[-2], IDS[-1]]

    def test_pinned_ones_stay(self):
        assert kept([*released(*OLD), ("pin", IDS[0], DAY)], ALL_AGES) == [IDS[0], IDS[-2], IDS[-1]]

    def test_so_many_that_are_not_bad_stay(self):
        actions = released(*OLD) + [("mark-bad", release, DAY) for release in IDS[-4:-2]]
        assert kept(actions, Rules(keep_last=3, grace=timedelta(0))) == [IDS[-5], *IDS[-3:]]

    def test_a_folder_that_is_gone_does_not_count_as_one_of_the_last(self):
        state = fold(journal(*released(*OLD)))
        decisions = decide(state, Rules(keep_last=4, grace=timedelta(0)), Clocks(NOW), {*IDS} - {IDS[-3]})
        assert [d.release for d in decisions if d.keep] == [IDS[-5], IDS[-4], IDS[-2], IDS[-1]]

    def test_what_was_replaced_lately_stays(self):
        actions = released(*[(release, (40 - 3 * n) * DAY) for n, release in enumerate(IDS)])
        stays = kept(actions, Rules(keep_last=0))
        # others were replaced 10 and more days ago; of what has to pass, two days allow for clocks
        assert stays == [IDS[-2], IDS[-1]]
        assert kept(actions, Rules(keep_last=0, grace=216 * HOUR)) == [IDS[-3], IDS[-2], IDS[-1]]

    def test_what_was_published_lately_and_never_active_stays(self):
        actions = [*released((IDS[0], 40 * DAY)), ("publish", IDS[1], 20 * DAY), ("publish", IDS[2], 2 * DAY)]
        assert kept(actions, Rules(keep_last=0)) == [IDS[0], IDS[2]]

    def test_pruned_ones_are_not_decided_about(self):
        assert IDS[0] not in decided([*released(*OLD), ("prune", IDS[0], DAY)], ALL_AGES)

    @pytest.mark.parametrize("rules", [{"keep_last": -1}, {"grace": -HOUR}, {"clock_error": -HOUR}])
    def test_negative_ones_are_refused(self, rules):
        with pytest.raises(UsageError, match="negative"):
            Rules(**rules)


class TestReasons:
    def test_say_why_each_stays_or_goes(self):
        actions = [
            *released((IDS[0], 30 * DAY), (IDS[1], 29 * DAY), (IDS[2], 10 * DAY + HOUR), (IDS[3], 100 * HOUR)),
            *released((IDS[4], 2 * HOUR), (IDS[5], HOUR)),
            ("pin", IDS[0], DAY),
        ]
        reasons = {release: decision.reason for release, decision in decided(actions, Rules(keep_last=1)).items()}
        assert reasons == {
            IDS[0]: "it is pinned",
            IDS[1]: "it was replaced 10 d 1 h ago",
            IDS[2]: "it was replaced 4 d 4 h ago, grace 72 h and 48 h in case clocks are wrong",
            IDS[3]: "it was replaced 2 h ago, grace 72 h and 48 h in case clocks are wrong",
            IDS[4]: "it is the one before the current",
            IDS[5]: "it is current",
        }

    def test_name_the_strongest_one(self):
        reasons = decided([*released(*OLD), ("pin", IDS[-1], DAY)], Rules())
        assert reasons[IDS[-1]].reason == "it is current"
        assert reasons[IDS[-3]].reason == "it is one of the last 5"


offsets = st.timedeltas(-DAY, DAY)


@st.composite
def histories(draw):
    """Releases in the order of their publication with true ages, each event stamped by a writer's clock that is off."""
    count = draw(st.integers(1, len(IDS)))
    ages = sorted(draw(st.lists(st.timedeltas(timedelta(0), 12 * DAY), min_size=count, max_size=count)), reverse=True)
    events = []
    for release, age in zip(IDS, ages, strict=False):
        events.append(("publish", release, age))
        if draw(st.booleans()):
            events.append(("activate", release, age))
    remarks = draw(
        st.lists(st.tuples(st.sampled_from(["rollback", "pin", "mark-bad"]), st.sampled_from(IDS[:count])), max_size=2)
    )
    events += [(do, release, min(ages)) for do, release in remarks]
    errors = draw(st.lists(offsets, min_size=len(events), max_size=len(events)))
    entries = tuple(
        Entry(number=n, tx=f"{n:016x}", do=do, release=release, at=NOW - age + error, by="me")
        for n, ((do, release, age), error) in enumerate(zip(events, errors, strict=True), 1)
    )
    true_ages = {n: age for n, (_, _, age) in enumerate(events, 1)}
    return fold(entries), true_ages


rules = st.builds(
    Rules,
    keep_last=st.integers(0, 5),
    grace=st.timedeltas(timedelta(seconds=1), 7 * DAY),
)


def nothing_young_or_live_goes(state, true_ages, rule, clocks):
    for decision in decide(state, rule, clocks, IDS):
        known = state.releases[decision.release]
        if not decision.keep:
            assert decision.release not in {state.current, state.previous}
            assert not known.pinned
            assert true_ages[known.deactivated_in or known.published_in] >= rule.grace


@settings(deadline=None, max_examples=300)
@given(histories(), rules, offsets)
def test_nothing_young_or_live_goes_when_all_clocks_are_a_day_off(history, rule, error):
    """No server's clock to help: this machine's and every writer's are off, each by its own amount."""
    nothing_young_or_live_goes(*history, rule, Clocks(NOW + error))


@settings(deadline=None, max_examples=300)
@given(histories(), rules, offsets, st.data())
def test_nothing_young_or_live_goes_when_the_servers_clock_is_off_as_well(history, rule, error, data):
    state, true_ages = history
    stored = {n: NOW - age + data.draw(offsets) for n, age in true_ages.items()}
    clocks = Clocks(NOW + error, NOW + data.draw(offsets), stored)
    nothing_young_or_live_goes(state, true_ages, rule, clocks)


@settings(deadline=None, max_examples=300)
@given(histories(), rules, st.timedeltas(-1000 * DAY, 1000 * DAY), st.timedeltas(-1000 * DAY, 1000 * DAY))
def test_nothing_young_or_live_goes_when_this_clock_is_years_off_and_the_servers_runs_evenly(history, rule, error, lag):
    state, true_ages = history
    stored = {n: NOW + lag - age for n, age in true_ages.items()}
    nothing_young_or_live_goes(state, true_ages, rule, Clocks(NOW + error, NOW + lag, stored))


@settings(deadline=None)
@given(histories(), st.integers(0, 5))
def test_each_live_release_is_decided_about_once(history, keep_last):
    state, _ = history
    decisions = decide(state, Rules(keep_last=keep_last), Clocks(NOW), IDS)
    assert [decision.release for decision in decisions] == [release.id for release in state.live]
    assert sum(decision.keep for decision in decisions) >= min(keep_last, len(decisions))


@settings(deadline=None)
@given(histories())
def test_what_is_old_by_every_clock_and_not_protected_goes(history):
    state, true_ages = history
    rule = Rules(keep_last=1, grace=HOUR, clock_error=DAY)
    stored = {n: NOW - age for n, age in true_ages.items()}
    goes = {d.release for d in decide(state, rule, Clocks(NOW, NOW, stored), IDS) if not d.keep}
    protected = {state.current, state.previous, *state.stack[-2:-1]} | {r.id for r in state.live[-1:]}
    protected |= {r.id for r in [r for r in state.live if r.bad is None][-1:]}
    old = {
        r.id
        for r in state.live
        if true_ages[r.deactivated_in or r.published_in] >= HOUR + 4 * DAY and not r.pinned and r.id not in protected
    }
    assert old <= goes
