"""The policies that `efsprov iac iam` prints for layer, attach, doctor and models are what the commands take, as they are typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.strict_aws import proof, roles
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from efsprov.cli.main import command_line
from tests.builders.on_lambda.conftest import Bench, bench, lambda_runtime, package, wheelhouse
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ON_EFS, zipped
from tests.framework_root import plain_target
from tests.functions.test_collect import Disk
from tests.local_aws import REGION
from tests.models.conftest import SAMPLES
from tests.printed_policies import printed_policies

__all__ = ["bench", "lambda_runtime", "package", "wheelhouse"]
RUNTIME, ARCH = plain_target().split("-")
FILE_SYSTEM = "fs-0123456789abcdef0"
EFS = ("--file-system", FILE_SYSTEM, "--access-point", ACCESS_POINT.rpartition("/")[2])


@dataclass
class Account:
    """An account with a builder function and a user's function whose role has the printed policy; commands in it."""

    double: StrictAws
    run: Callable[..., dict[str, Any]]
    bench: Bench
    vpc: tuple[str, ...]  # what puts a function into it, as options
    bucket: str

    def become(self, document):
        ann = self.double.identities.add("ann", [document])
        self.environment = {**self.double.environment, **ann.environment, "AWS_REGION": REGION}
        return ann

    def requests(self, principal):
        return [one.check for one in self.double.identities.requests if one.principal == principal.arn]


class Wholesome(Disk):
    """A file system that has a policy of its own, so that roles are asked."""

    def describe_file_systems(self, *, FileSystemId):  # noqa: N803 - boto3's own name
        (found,) = super().describe_file_systems(FileSystemId=FileSystemId)["FileSystems"]
        return {"FileSystems": [found | {"ThroughputMode": "bursting"}]}

    def describe_file_system_policy(self, *, FileSystemId):  # noqa: N803 - boto3's own name
        return {"FileSystemId": FileSystemId, "Policy": json.dumps({"Version": "2012-10-17", "Statement": []})}


@pytest.fixture
def account(bench: Bench, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # `layer bootstrap` writes the layer's zip where it stands
    double, iam = bench.double, bench.double.client("iam")
    ec2 = double.client("ec2", region=REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    ours, theirs = (
        ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"] for n in ("ours", "efs")
    )
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": ours}]}
    ec2.authorize_security_group_ingress(GroupId=theirs, IpPermissions=[rule])
    policies = printed_policies("attach", *EFS, "--function", "user", region=REGION)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="user", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName="user", PolicyName="efsprov", PolicyDocument=json.dumps(policies["function"]))
    bench.endpoint.functions.vpc_id = vpc
    bench.deploy(subnets=(subnet,), groups=(ours,))
    double.client("lambda", region=REGION).create_function(
        FunctionName="user",
        Runtime=RUNTIME,
        Role=role,
        Handler="h.handler",
        Architectures=[ARCH],
        Timeout=30,
        Code={"ZipFile": zipped(h="def handler(event, context): pass")},
    )
    s3 = double.client("s3", region=REGION)
    s3.create_bucket(Bucket="models-of-ours")
    s3.put_bucket_versioning(Bucket="models-of-ours", VersioningConfiguration={"Status": "Enabled"})
    for name in ("prod/net.onnx", "prod/all/net.onnx"):
        s3.put_object(Bucket="models-of-ours", Key=name, Body=(SAMPLES / "matmul.onnx").read_bytes())
    vpc_options = ("--subnet", subnet, "--security-group", ours)
    made = Account(double, lambda *_: {}, bench, vpc_options, "models-of-ours")

    def run(*arguments, codes=(0,)):
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(command_line(), [*arguments, "--json"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code in codes, done.output
        return json.loads(done.stdout)

    made.run = run
    with RestJsonServer("efs", Wholesome(subnet, "us-east-1a", theirs)) as disk:
        double.answer_by({"efs": rest_json(disk)})
        yield made


def layer(account, tmp_path):
    assert account.run("layer", "bootstrap", "--publish")["layer"]["published"] is True
    assert account.run("layer", "bootstrap", "--publish")["layer"]["published"] is False


def attach(account, tmp_path):
    wire = ("attach", "--function", "user", "--channel", "tf", "--access-point", ACCESS_POINT)
    done = account.run(*wire, *account.vpc, "--builder-function", "builder", "--publish", "--alias", "live")
    assert done["version"] == "2"
    account.run("detach", "--function", "user")


def doctor(account, tmp_path):
    look = ("doctor", "--function", "user", "--access-point", ACCESS_POINT.rpartition("/")[2], "--channel", "tf")
    findings = account.run(*look, "--builder-function", "builder", codes=(0, 1))["findings"]  # it is not attached yet
    unread = [finding for finding in findings if finding["level"] == "unknown"]
    assert unread == []
    by_check = {finding["check"]: finding for finding in findings}
    assert by_check["role's permissions"]["level"] == "ok", by_check["role's permissions"]


def models(account, tmp_path):
    push = ("model", "push", "--root", str(tmp_path / "efs"))
    account.run(*push, "one", f"s3://{account.bucket}/prod/net.onnx")
    account.run(*push, "all", f"s3://{account.bucket}/prod/all/")


COMMANDS = {
    "layer": (layer, ()),
    "attach": (attach, (*EFS, "--function", "user", "--builder-function", "builder")),
    "doctor": (doctor, (*EFS, "--function", "user", "--builder-function", "builder", "--role", "user")),
    "models": (models, ("--bucket", "models-of-ours", "--prefix", "prod/")),
}


def prepare(account, tmp_path, purpose):
    """What a purpose's commands find: a layer and a channel, or a function in a VPC."""
    if purpose == "attach":
        awslambda = account.double.client("lambda", region=REGION)
        awslambda.get_function_configuration(FunctionName="user")
        awslambda.publish_version(FunctionName="user")
        awslambda.create_alias(FunctionName="user", Name="live", FunctionVersion="1")
        account.become(printed_policies("layer", region=REGION)["orchestrator"])
        layer(account, tmp_path)
        account.bench.run(account.bench.request(account.bench.wheel("tf"), channel="tf"))
    if purpose == "doctor":
        vpc = {"SubnetIds": [account.vpc[1]], "SecurityGroupIds": [account.vpc[3]]}
        awslambda = account.double.client("lambda", region=REGION)
        awslambda.get_function_configuration(FunctionName="user")
        awslambda.update_function_configuration(FunctionName="user", VpcConfig=vpc)
    account.environment = {**account.double.environment, "AWS_REGION": REGION}


@pytest.mark.parametrize("purpose", COMMANDS)
def test_the_policy_is_what_the_commands_take(account, tmp_path, purpose):
    commands, options = COMMANDS[purpose]
    prepare(account, tmp_path, purpose)
    document = printed_policies(purpose, *options, region=REGION)["orchestrator"]
    ann = account.become(document)
    commands(account, tmp_path)
    checks = account.requests(ann)
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []


def actions():
    for purpose, (_, options) in COMMANDS.items():
        document = printed_policies(purpose, *options, region=REGION)["orchestrator"]
        for number, action in proof.parts(document):
            yield pytest.param(purpose, number, action, id=f"{purpose}-{document['Statement'][number]['Sid']}-{action}")


@pytest.mark.slow
@pytest.mark.parametrize(("purpose", "number", "action"), list(actions()))
def test_without_any_one_action_a_command_fails(account, tmp_path, purpose, number, action):
    commands, options = COMMANDS[purpose]
    prepare(account, tmp_path, purpose)
    document = printed_policies(purpose, *options, region=REGION)["orchestrator"]
    account.become(proof.without(document, number, action))
    with pytest.raises(Exception):  # noqa: B017 - an error of efsprov's, or the doctor's "unknown"
        commands(account, tmp_path)


def test_the_functions_role_may_mount_and_join_and_log_and_no_more():
    document = printed_policies("attach", *EFS, "--function", "user", region=REGION)["function"]
    point = ACCESS_POINT.rpartition("/")[2]
    checks = [*roles.join_the_vpc(REGION), *roles.write_logs("user", REGION)]
    checks += roles.mount(FILE_SYSTEM, REGION, access_point=point)
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []
    writing = list(roles.mount(FILE_SYSTEM, REGION, access_point=point, write=True))
    assert proof.refused([document], writing) == proof.refused([document], writing[1:]) != []
    own_code = list(roles.run_in_the_function("user", REGION))
    assert len(proof.refused([document], own_code)) == len(own_code)
    assert ON_EFS["FileSystemConfigs"][0]["Arn"] == ACCESS_POINT
