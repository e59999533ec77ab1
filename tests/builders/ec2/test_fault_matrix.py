"""One fault of AWS's at every call of a run on EC2, from the first look to the last removal: the run ends well all the same."""

import pytest

from devtools.strict_aws.matrix import KINDS, calls_of
from efsprov.builders.ec2.run_record import read_records
from efsprov.core.errors import EfsprovError

# Asked over and over until something is so: how often is a matter of the clock.
POLLED = {"ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:DescribeNetworkInterfaces"}


def with_faults(cloud, ask, heard, kinds):
    """Run once for each call of a run and ``kinds(number)``; return what was refused, and how many runs met their fault."""
    cloud.builder().run(ask(), heard)
    calls = list(calls_of(sent.action for sent in cloud.aws.sent))
    refused, runs = [], 0
    for number, call in enumerate(calls):
        for kind in kinds(number):
            KINDS[kind](cloud.aws, call)
            try:
                cloud.builder().run(ask(), heard)
            except EfsprovError as error:
                refused.append((str(call), kind, error.message, error.hint))
            unmet = cloud.aws.forget()
            assert unmet == 0 or call.action in POLLED, f"{call} was not made: {kind}"
            runs += not unmet
            assert cloud.left() == [], (call, kind)
            assert read_records() == (), (call, kind)
            cloud.aws.sent.clear()
    assert runs > len({call.action for call in calls}) > 0
    return refused, runs


@pytest.mark.slow
def test_a_fault_at_every_call(cloud, ask, heard):
    names = list(KINDS)
    refused, _ = with_faults(cloud, ask, heard, lambda number: [names[number % len(names)]])
    assert refused == []


@pytest.mark.slow
def test_every_fault_at_every_call(cloud, ask, heard):
    refused, runs = with_faults(cloud, ask, heard, lambda number: list(KINDS))
    print(f"ec2: {runs} runs, {len(refused)} refused")
    assert refused == []
