"""One fault of AWS's at every call that deploys a builder function, builds in it and removes it: one release comes of it."""

import shutil

import pytest

from devtools.lambda_sandbox.rest_json import ServiceError
from devtools.strict_aws.matrix import KINDS, calls_of
from efsprov.builders.on_lambda.deploy import remove
from efsprov.core.errors import EfsprovError
from tests.builders.on_lambda.conftest import repacked

# Asked over and over, until the function has settled or while it builds: how often is a matter of the clock.
POLLED = {"lambda:GetFunctionConfiguration", "lambda:GetFunction", "lambda:Invoke"}


def deploy_build_and_remove(bench, wheel):
    code = bench.package
    for folder in bench.root.iterdir():
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    bench.deploy()
    result = bench.run(bench.request(wheel))
    bench.assert_one_verified_release(result.release)
    bench.package = repacked(code, {"more.py": b""})
    bench.deploy(memory=2048, subnets=("subnet-2",))
    bench.package = code
    remove(bench.aws, "builder")


def with_faults(bench, kinds):
    """Run once for each call of a run and ``kinds(number)``; return what was refused, and how many runs met their fault."""
    wheel = bench.wheel("faulty")
    deploy_build_and_remove(bench, wheel)
    calls = list(calls_of(sent.action for sent in bench.double.sent))
    refused, runs = [], 0
    for number, call in enumerate(calls):
        for kind in kinds(number):
            KINDS[kind](bench.double, call)
            try:
                deploy_build_and_remove(bench, wheel)
            except EfsprovError as error:
                refused.append((str(call), kind, error.message, error.hint))
            unmet = bench.double.forget()
            assert unmet == 0 or call.action in POLLED, f"{call} was not made: {kind}"
            runs += not unmet
            with pytest.raises(ServiceError, match="Function not found"):
                bench.endpoint.functions.serving("builder")
    assert runs > len({call.action for call in calls}) > 0
    return refused, runs


@pytest.mark.slow
def test_a_fault_at_every_call(bench):
    names = list(KINDS)
    refused, _ = with_faults(bench, lambda number: [names[number % len(names)]])
    assert refused == []


@pytest.mark.slow
def test_every_fault_at_every_call(bench):
    refused, runs = with_faults(bench, lambda number: list(KINDS))
    print(f"lambda: {runs} runs, {len(refused)} refused")
    assert refused == []
