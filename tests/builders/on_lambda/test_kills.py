"""Lambda kills what reaches its time-out, at any moment: the next invocation goes on, and one release comes of it."""

import contextlib
import json
import random
import secrets
import threading
import time

import pytest

KILLS = 20
STEPS = ("stage", "compile", "smoke", "index", "copy", "publish", "activate")


class Killer(contextlib.AbstractContextManager):
    """Kills what builds, over and over; ``wait`` returns when the next blow is due, in the build event counted from 1.

    A blow counts when the orchestrator had to invoke again after it.
    """

    def __init__(self, bench, *, kills, wait):
        self._bench, self._kills, self._wait = bench, kills, wait
        self._before = bench.builds()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    @property
    def killed(self):
        """How many blows have counted."""
        return max(0, self._bench.builds() - self._before - 1)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self._thread.join()

    def _work(self):
        while self.killed < self._kills and not self.over.is_set():
            at = self._bench.builds()
            if at == self._before:
                self.over.wait(0.005)
                continue
            self._wait(self, at)
            if self.over.is_set():
                return
            with contextlib.suppress(BrokenPipeError):
                self._bench.endpoint.invoker.kill("builder")
            due = time.monotonic() + 2
            while self._bench.builds() == at and time.monotonic() < due:
                self.over.wait(0.005)


def response(bench, run):
    """The events that the run has written on the root so far."""
    log = bench.root / ".runs" / run / "log"
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return [json.loads(line).get("event", {}) for line in lines]


def wait_for_step(killer, bench, run, step):
    """Until the invocation that is at work has begun a step; it begins again with the download."""
    seen = len(response(bench, run))
    while not killer.over.wait(0.002):
        if any(event.get("step") == step for event in response(bench, run)[seen:]):
            return


@pytest.mark.slow
def test_killed_at_random_moments_twenty_times_in_a_row_it_ends_in_one_verified_release(bench):
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    chance, moments = random.Random(seed), []

    def at_random(killer, at):
        """Anywhere in a step that is chosen again each time: steps differ too much in length for the clock alone."""
        step = chance.choice(("", "fetch", "stage", "compile", "smoke", "index", "copy", "copy"))
        if step:
            wait_for_step(killer, bench, request.run, step)
        moments.append((step, round(chance.uniform(0, 0.5 if step in {"", "smoke"} else 0.15), 2)))
        killer.over.wait(moments[-1][1])

    bench.deploy()
    request = bench.request(bench.wheel("killed", files=3000, size=256 << 20, delay=0.5))
    with Killer(bench, kills=KILLS, wait=at_random) as killer:
        result = bench.run(request)
    print(f"killed (step, seconds after it began): {moments}; {bench.builds()} invocations")
    steps = [event["step"] for event in response(bench, request.run) if event.get("state", "") == "started"]
    print(f"steps begun: { {step: steps.count(step) for step in steps} }")
    assert killer.killed >= KILLS
    assert result.outcome == "published"
    bench.assert_one_verified_release(result.release)


def test_killed_in_each_step_it_ends_in_one_verified_release(bench):
    bench.deploy()
    request = bench.request(bench.wheel("steps", files=400, size=24 << 20))

    def in_step(killer, at):
        wait_for_step(killer, bench, request.run, STEPS[min(killer.killed, len(STEPS) - 1)])

    with Killer(bench, kills=len(STEPS), wait=in_step) as killer:
        result = bench.run(request)
    assert killer.killed >= len(STEPS) - 2  # publish and activate may be over before the blow falls
    bench.assert_one_verified_release(result.release)
