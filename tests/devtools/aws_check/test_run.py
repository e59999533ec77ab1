"""The check to its end against the double, and with every step failed once: whatever happens, everything is removed."""

import datetime as dt
import json
import os
import signal
from collections import Counter

import pytest

from devtools.aws_check.account import CheckError
from devtools.aws_check.report import write_report
from devtools.aws_check.steps import MAKING, STEPS, Step


def failing(step):
    """A step that does its work and then fails: the most is there to be removed."""

    def run(check, options):
        step.run(check, options)
        raise CheckError("made up")

    return Step(step.name, run)


def names(steps):
    return [step.name for step in steps]


@pytest.mark.slow
def test_every_step_passes_and_is_reported_and_nothing_is_left(world):
    before, began = world.there(), dt.datetime.now(dt.UTC)
    outcome = world.run()
    assert [(step.name, step.error) for step in outcome.steps if step.outcome == "failed"] == []
    assert outcome.passed
    assert names(outcome.steps) == [*names(STEPS), "remove everything"]
    assert world.there() == before
    figures = {step.name: step.figures for step in outcome.steps}
    release = figures["sync --builder ec2"]["release"]
    assert figures["invoke it"] == {"releases": {"check": release}}
    measured = figures["measure cold starts"]
    assert all(len(rounds) == 3 for rounds in measured["rounds"].values())
    assert all(seconds > 0 for seconds in measured["median_import_seconds"].values())
    # what AWS was asked, by whomever: all of it is in the report, with its id
    files = write_report(world.check, world.options, outcome, began=began)
    document = json.loads(files[0].read_text())
    reported = [call for step in document["steps"] for call in step["calls"]]
    assert all(call["request_id"] for call in reported)
    assert Counter(call["action"] for call in reported) == Counter(sent.action for sent in world.double.sent)
    assert {"ec2:RunInstances", "lambda:Invoke", "s3:GetObject"} <= {call["action"] for call in reported}
    assert all(world.check.number not in file.read_text() for file in files)
    assert "# efsprov on AWS: passed" in files[1].read_text()


SHORT = MAKING[-1].name  # all is made that costs money by the hour


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == SHORT else pytest.mark.slow) for n in names(STEPS)])
def test_a_step_that_fails_leaves_nothing(world, name):
    before = world.there()
    outcome = world.run(tuple(failing(step) if step.name == name else step for step in STEPS))
    at = names(STEPS).index(name)
    assert [step.outcome for step in outcome.steps] == ["passed"] * at + ["failed"] + ["not reached"] * (
        len(STEPS) - at - 1
    ) + ["passed"]
    assert outcome.steps[at].error == "made up"
    assert not outcome.passed
    assert outcome.left == ()
    assert world.there() == before


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_removes_everything_and_a_second_one_does_not_stop_that(world, number):
    before, last = world.there(), len(MAKING) - 1

    def run(check, options):
        os.kill(os.getpid(), number)
        raise AssertionError("the signal did not stop it")

    class Told(list):
        def append(self, message):
            super().append(message)
            if message.startswith("removing VPC"):
                os.kill(os.getpid(), number)

    world.said = Told()
    outcome = world.run((*MAKING[:last], Step("stopped", run), MAKING[last]))  # without the roles, which take longest
    assert outcome.stopped == signal.Signals(number).name
    assert [step.outcome for step in outcome.steps] == [*["passed"] * last, "failed", "not reached", "passed"]
    assert any("still removing" in message for message in world.said)
    assert world.there() == before


def test_what_cannot_be_removed_is_named(world):
    world.double.fail("ec2:DeleteVpc", "DependencyViolation", "a network interface is in it", times=99)
    outcome = world.run(MAKING[:1])
    (left,) = outcome.left
    assert left.startswith("VPC vpc-")
    assert "a network interface is in it" in left
    assert not outcome.passed
    assert outcome.steps[-1].outcome == "failed"


@pytest.mark.parametrize("lose", ["lose_reply", pytest.param("lose_request", marks=pytest.mark.slow)])
def test_a_request_that_is_lost_leaves_nothing_twice(world, lose):
    """Every request that makes something: made twice, all of it is found by its tags and names.

    Not CreateSubnet, whose second one conflicts, nor CreateNatGateway, whose token moto does not keep.
    """
    before = world.there()
    creating = ["CreateVpc", "CreateInternetGateway", "AllocateAddress", "CreateRouteTable"]
    for action in creating:
        getattr(world.double, lose)(f"ec2:{action}")
    getattr(world.double, lose)("efs:CreateFileSystem")
    outcome = world.run(MAKING)
    assert [step.error for step in outcome.steps if step.error] == []
    assert outcome.left == ()
    assert world.there() == before
