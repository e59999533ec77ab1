"""One fault of AWS's at every call of the verbs for functions, layers and models: done all the same, or refused in words."""

import pytest

from devtools.strict_aws.matrix import KINDS, calls_of
from efsprov.core.errors import EfsprovError
from tests.builders.on_lambda.conftest import bench, lambda_runtime, package, wheelhouse
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT
from tests.functions.test_iam import REGION, account, prepare

__all__ = ["account", "bench", "lambda_runtime", "package", "wheelhouse"]
POINT = ACCESS_POINT.rpartition("/")[2]


def layer(account, tmp_path):
    account.run("layer", "bootstrap", "--publish")


def attach(account, tmp_path):
    wire = ("attach", "--function", "user", "--channel", "tf", "--access-point", ACCESS_POINT)
    account.run(*wire, *account.vpc, "--builder-function", "builder", "--publish", "--alias", "live")
    account.run("detach", "--function", "user")


def doctor(account, tmp_path):
    look = ("doctor", "--function", "user", "--access-point", POINT, "--channel", "tf", "--builder-function", "builder")
    findings = account.run(*look, codes=(0, 1))["findings"]
    assert [finding for finding in findings if finding["level"] == "unknown"] == []


def models(account, tmp_path):
    push = ("model", "push", "--root", str(tmp_path / "efs"))
    account.run(*push, "one", f"s3://{account.bucket}/prod/net.onnx")
    account.run(*push, "all", f"s3://{account.bucket}/prod/all/")


VERBS = {"layer": layer, "attach": attach, "doctor": doctor, "models": models}


def configuration(account):
    found = account.double.client("lambda", region=REGION).get_function_configuration(FunctionName="user")
    return {name: found.get(name) for name in ("Environment", "FileSystemConfigs", "Layers", "VpcConfig")}


def with_faults(account, tmp_path, purpose, kinds):
    """Run the verbs once for each of their calls and ``kinds(number)``; return what was refused, and how often they ran."""
    prepare(account, tmp_path, purpose)
    verbs, double = VERBS[purpose], account.double
    verbs(account, tmp_path)
    before, began = configuration(account), len(double.sent)
    verbs(account, tmp_path)
    calls = list(calls_of(sent.action for sent in double.sent[began:]))
    refused, runs = [], 0
    for number, call in enumerate(calls):
        for kind in kinds(number):
            KINDS[kind](double, call)
            runs += 1
            try:
                verbs(account, tmp_path)
            except EfsprovError as error:
                refused.append((str(call), kind, f"{error.message} {error.hint}" if error.hint else ""))
                assert double.forget() == 0, (call, kind)
                verbs(account, tmp_path)  # whatever it left, the same command goes on from there
            assert double.forget() == 0, f"{call} was not made: {kind}"
            assert configuration(account) == before, (call, kind)
    assert runs >= len(calls) > 0
    assert all(words for _, _, words in refused), "each says what to do next"
    return refused, runs


# An invocation is one request: whether the function ran is not known where its reply is lost, so it is not sent again.
NOT_REPEATED = {"lambda:Invoke"}


@pytest.mark.parametrize("purpose", VERBS)
def test_a_fault_at_every_call(account, tmp_path, purpose):
    names = list(KINDS)
    refused, _ = with_faults(account, tmp_path, purpose, lambda number: [names[number % len(names)]])
    assert [one for one in refused if one[0].partition(" ")[0] not in NOT_REPEATED] == []


@pytest.mark.slow
@pytest.mark.parametrize("purpose", VERBS)
def test_every_fault_at_every_call(account, tmp_path, purpose):
    refused, runs = with_faults(account, tmp_path, purpose, lambda number: list(KINDS))
    print(f"{purpose}: {runs} runs, {len(refused)} refused")
    assert [one for one in refused if one[0].partition(" ")[0] not in NOT_REPEATED] == []
