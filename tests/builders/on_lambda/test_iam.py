"""The policy for the Lambda builder allows what efsprov really asks for, and nothing that it does not."""

from efsprov.builders.lambda_deploy import remove
from efsprov.emit.iam import policies
from efsprov.emit.iam_document import Scope, actions_of
from tests.builders.on_lambda.conftest import repacked

ON_BEHALF = {  # what Lambda itself checks of the caller: no request of efsprov's
    *("iam:PassRole", "lambda:TagResource", "elasticfilesystem:DescribeMountTargets"),
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
}


def test_the_policy_is_what_is_used(bench):
    bench.deploy()
    bench.run(bench.request(bench.wheel("allowed")))
    bench.package = repacked(bench.package, {"more.py": b""})
    bench.deploy(memory=2048)
    remove(bench.aws, "builder")
    used = {f"lambda:{request.operation}".replace(":Invoke", ":InvokeFunction") for request in bench.endpoint.requests}
    scope = Scope("123456789012", "us-east-1", "fs-12345678", "fsap-12345678", builder_function="builder")
    assert actions_of(policies(scope, "lambda")["orchestrator"]) - ON_BEHALF == used
