"""The policies that `efsprov iac iam --for lambda` prints are what the Lambda builder takes: all of it, and none left over."""

import dataclasses
import json

import pytest

from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.strict_aws import proof, roles
from devtools.strict_aws.backends import rest_json
from efsprov.builders.on_lambda.deploy import remove
from efsprov.core.errors import EfsprovError
from tests.builders.on_lambda.conftest import repacked
from tests.builders.on_lambda.test_command_line import Disk
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ROLE
from tests.local_aws import REGION, LocalSession
from tests.printed_policies import printed_policies

FILE_SYSTEM = "fs-0123456789abcdef0"
OPTIONS = ("--file-system", FILE_SYSTEM, "--access-point", ACCESS_POINT.rpartition("/")[2], "--role", "r")
OPTIONS += ("--builder-function", "builder")


@pytest.fixture
def printed():
    return printed_policies("lambda", *OPTIONS, region=REGION)


@pytest.fixture
def become(bench):
    """Makes a caller with a policy, as whom everything is done from then on; the builder's role has the printed one."""
    with RestJsonServer("efs", Disk()) as disk:
        bench.double.answer_by({"efs": rest_json(disk)})

        def become(document, role):
            iam = bench.double.client("iam")
            iam.create_role(
                RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(role["builder-trust"])
            )
            iam.put_role_policy(RoleName="r", PolicyName="builder", PolicyDocument=json.dumps(role["builder"]))
            ann = bench.double.identities.add("ann", [document])
            url = bench.double.url
            bench.aws = dataclasses.replace(bench.aws, session=LocalSession({"lambda": url}, ann.key, ann.secret))
            return ann

        yield become


def deploy_build_and_remove(bench):
    bench.deploy()
    bench.run(bench.request(bench.wheel("allowed")))
    bench.package = repacked(bench.package, {"more.py": b""})
    bench.deploy(memory=2048, subnets=("subnet-2",))
    remove(bench.aws, "builder")


def requests(bench, principal):
    return [one.check for one in bench.double.identities.requests if one.principal == principal]


def test_the_policies_are_what_is_used(bench, become, printed):
    ann = become(printed["orchestrator"], printed)
    deploy_build_and_remove(bench)
    checks = requests(bench, ann.arn)
    assert proof.refused([printed["orchestrator"]], checks) == []
    assert proof.superfluous(printed["orchestrator"], checks) == []
    # the function's own
    checks = [*requests(bench, ROLE), *roles.write_logs("builder", REGION)]
    checks += roles.mount(FILE_SYSTEM, REGION, access_point=ACCESS_POINT.rpartition("/")[2], write=True)
    assert proof.refused([printed["builder"]], checks) == []
    assert proof.superfluous(printed["builder"], checks) == []
    own_code = list(roles.run_in_the_function("builder", REGION))
    assert len(proof.refused([printed["builder"]], own_code)) == len(own_code), "its code may not do what Lambda may"


def test_a_role_that_may_not_join_the_vpc_is_refused_when_the_function_is_made(bench, become, printed):
    statements = [s for s in printed["builder"]["Statement"] if s["Sid"] != "LetLambdaJoinTheVpc"]
    become(printed["orchestrator"], {**printed, "builder": {**printed["builder"], "Statement": statements}})
    with pytest.raises(EfsprovError, match="does not have permissions to call CreateNetworkInterface"):
        bench.deploy()


def parts():
    document = printed_policies("lambda", *OPTIONS, region=REGION)["orchestrator"]
    return [
        pytest.param(number, action, id=f"{document['Statement'][number]['Sid']}-{action}")
        for number, action in proof.parts(document)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "action"), parts())
def test_without_any_one_action_a_run_fails(bench, become, printed, number, action):
    become(proof.without(printed["orchestrator"], number, action), printed)
    with pytest.raises(EfsprovError):
        deploy_build_and_remove(bench)
