"""Policies: bounded in number and time, random waits, nothing tried again that would not help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.net import retry
from efsprov.net.retry import Policy, call, wait_for

POLICIES = [retry.THROTTLED, retry.EVENTUALLY_CONSISTENT, retry.IN_USE, retry.RECONNECT]


class Flaky:
    def __init__(self, failures):
        self.failures = failures
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(self.calls)
        return "done"


@given(st.integers(0, 20), st.integers(1, 10))
def test_it_is_called_until_it_works_or_the_attempts_are_used_up(failures, attempts):
    flaky, waits = Flaky(failures), []
    policy = Policy("test", attempts=attempts, seconds=1e6, first=1, longest=8)
    if failures < attempts:
        assert call(policy, flaky, when=lambda e: True, sleep=waits.append) == "done"
        assert flaky.calls == failures + 1
    else:
        with pytest.raises(OSError) as caught:
            call(policy, flaky, when=lambda e: True, sleep=waits.append)
        assert caught.value.args == (attempts,), "the last failure, as it was"
        assert flaky.calls == attempts
    assert len(waits) == flaky.calls - 1
    assert all(0 <= wait <= 8 for wait in waits)


def test_what_would_not_help_is_raised_at_once():
    flaky = Flaky(5)
    with pytest.raises(OSError):
        call(retry.THROTTLED, flaky, when=lambda e: False, sleep=lambda s: pytest.fail("it waited"))
    assert flaky.calls == 1


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_no_policy_makes_a_storm(policy):
    assert policy.attempts <= 40
    assert policy.seconds <= 300
    assert policy.longest >= 8 * policy.first


def test_waiting_gives_the_first_answer():
    answers = iter([None, None, 0])
    assert wait_for(lambda: next(answers), seconds=1e6, sleep=lambda s: None) == 0


def test_waiting_in_vain_gives_none():
    assert wait_for(lambda: None, seconds=0) is None


def test_a_failure_while_waiting_is_raised():
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 / 0, seconds=1e6)
