import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.store.copying.concurrency import Concurrency


def run(control, throughput, steps, noise=0.0, seed=0):
    """Feed a controller what a server with this throughput by limit would give; return the limits that it chose."""
    chance = random.Random(seed)
    limits = []
    for _ in range(steps):
        rate = throughput(control.limit) * chance.uniform(1 - noise, 1 + noise)
        limits.append(control.observe(rate))
    return limits


def knee(at, decline=0.0):
    """Throughput grows with the limit up to ``at``, then stays or declines."""
    return lambda limit: 100.0 * limit if limit <= at else 100.0 * at * (1 - decline * (limit - at) / at)


@pytest.mark.parametrize("at", [8, 16, 20, 32, 40, 64, 200])
@pytest.mark.parametrize("seed", range(5))
def test_finds_the_knee_within_a_factor_under_noise(at, seed):
    control = Concurrency(low=4, high=64)
    best = knee(at)(min(at, 64))
    limits = run(control, knee(at), 200, noise=0.05, seed=seed)
    reached = [knee(at)(limit) for limit in limits[8:]]
    assert sum(reached) / len(reached) > 0.75 * best


@pytest.mark.parametrize("seed", range(5))
def test_steps_back_where_more_is_worse(seed):
    control = Concurrency(low=4, high=64)
    limits = run(control, knee(16, decline=0.3), 200, noise=0.03, seed=seed)
    assert max(limits[40:]) <= 32


@pytest.mark.parametrize("at", [8, 16, 32])
def test_comes_down_from_the_top_where_more_is_worse(at):
    control = Concurrency(low=4, high=64)
    limits = run(control, lambda limit: min(limit, at) * min(1.0, at / limit) ** 0.5, 100, noise=0.03)
    assert sum(limits[60:]) / len(limits[60:]) <= 1.6 * at


@pytest.mark.parametrize("seed", range(20))
def test_one_that_starts_at_the_top_stays_there_while_round_trips_are_what_is_waited_for(seed):
    control = Concurrency(low=4, high=64)
    limits = run(control, knee(64), 300, noise=0.5, seed=seed)
    reached = [knee(64)(limit) for limit in limits]
    assert sum(reached) / len(reached) > 0.75 * knee(64)(64)


def test_throughput_that_grows_by_itself_at_first_moves_nothing_and_the_first_probe_goes_down():
    control = Concurrency(low=4, high=64)
    limits = [control.observe(rate) for rate in (47, 261, 406, 649, 876, 1216, 90, 1296, 800, 1252)]
    assert limits == [64] * 7 + [43, 64, 64]


def test_after_what_it_needed_more_is_easier_to_have_than_fewer():
    def limit_after(control, rates):
        return [control.observe(rate) for rate in rates][-1]

    noisy = [100.0] * 7 + [100.0, 125.0, 120.0]  # before, during and after: better than the mean, not than the best
    assert limit_after(Concurrency(low=4, high=64), noisy) == 64
    control = Concurrency(low=4, high=64)
    lower = [10.0] * 7 + [10.0, 20.0, 10.0]
    assert limit_after(control, lower * 2) == 29
    assert limit_after(control, [10.0] * 10) == 29  # down again, in vain
    assert limit_after(control, noisy) == 44


def test_follows_a_knee_that_moves():
    control = Concurrency(low=4, high=64)
    run(control, knee(16), 60)
    limits = run(control, knee(64), 300)
    assert limits[-1] >= 40


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_does_not_make_it_drift_to_the_floor(seed):
    control = Concurrency(low=4, high=64)
    limits = run(control, knee(24), 600, noise=0.6, seed=seed)
    assert sum(limits) / len(limits) > 8


def test_starving_shows_nothing():
    control = Concurrency(low=4, high=64)
    run(control, knee(32), 30)
    settled = control.limit
    assert [control.observe(1.0, starved=True) for _ in range(50)] == [settled] * 50


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), max_size=200),
    st.integers(1, 64),
    st.integers(1, 64),
)
def test_stays_within_its_bounds(observations, low, high):
    low, high = sorted((low, high))
    control = Concurrency(low=low, high=high)
    for rate, starved in observations:
        assert low <= control.observe(rate, starved=starved) <= high
