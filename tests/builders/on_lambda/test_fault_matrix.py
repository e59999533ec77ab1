"""One fault of AWS's at every call that deploys a builder function, builds in it and removes it: one release comes of it."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from devtools.lambda_sandbox.rest_json import ServiceError
from devtools.strict_aws.matrix import KINDS, calls_of
from efsprov.builders.on_lambda.deploy import remove
from efsprov.core.errors import ConflictError, EfsprovError
from tests.builders.on_lambda.conftest import repacked
from tests.devtools.lambda_sandbox.calls import ROLE, zipped

# Asked over and over, until the function has settled or while it builds: how often is a matter of the clock.
POLLED = {"lambda:GetFunctionConfiguration", "lambda:GetFunction", "lambda:Invoke"}


def deploy_build_and_remove(bench, wheel):
    code = bench.code = getattr(bench, "code", bench.package)
    bench.package = code
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
                deploy_build_and_remove(bench, wheel)  # whatever it left, the same commands go on from there
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


def test_a_lost_reply_of_the_creation_is_one_function(bench):
    bench.double.lose_reply("lambda:CreateFunction")
    assert bench.deploy().action == "create"
    assert bench.deploy().action == "nothing"


def test_a_function_of_somebody_elses_that_came_in_between_is_left_alone(bench):
    held = bench.double.hold("lambda:CreateFunction")
    with ThreadPoolExecutor(1) as pool:
        deployed = pool.submit(bench.deploy)
        held.wait()
        bench.double.client("lambda", region="us-east-1").create_function(
            FunctionName="builder",
            Runtime=bench.spec().target.runtime,
            Role=ROLE,
            Handler="theirs.handler",
            Architectures=[bench.spec().target.arch],
            Code={"ZipFile": zipped(theirs="def handler(event, context): pass")},
        )
        held.released.set()
        with pytest.raises(ConflictError, match="it is not a builder function of efsprov"):
            deployed.result()
    assert bench.endpoint.functions.serving("builder")[1].settings["Handler"] == "theirs.handler"
