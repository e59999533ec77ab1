"""The policies: valid, narrow, documented action by action, and those of the operations that the code calls."""

import ast
import dataclasses
import json
import re
from pathlib import Path

import boto3
import pytest

from efsprov.core.errors import UsageError
from efsprov.emit.iam import PARTS, files, policies
from efsprov.emit.iam_document import Scope, actions_of

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "iam.md"
FULL = Scope(
    "123456789012",
    "eu-central-1",
    "fs-12345678",
    "fsap-12345678",
    functions=("classify", "ml-*"),
    builder_function="efsprov-build",
    bucket="models",
)
EC2 = [
    FULL,
    dataclasses.replace(FULL, access_point=None),
    *(
        dataclasses.replace(FULL, access_point=None, region="cn-north-1", connect=way, partition="aws-cn")
        for way in ("private", "endpoint", "ssm")
    ),
]
CASES = [
    *(pytest.param("ec2", scope, id=f"ec2-{scope.connect}-{scope.access_point}") for scope in EC2),
    *(pytest.param(purpose, FULL, id=purpose) for purpose in PARTS if purpose != "ec2"),
    pytest.param("attach", dataclasses.replace(FULL, builder_function=""), id="attach-alone"),
    pytest.param("layer", dataclasses.replace(FULL, bucket=""), id="layer-small"),
    pytest.param("models", dataclasses.replace(FULL, prefix="prod/"), id="models-prefix"),
]
# https://docs.aws.amazon.com/service-authorization/latest/reference/: actions for which no resource can be named
WITHOUT_RESOURCE = re.compile(
    r"ec2:Describe\w+|sts:DecodeAuthorizationMessage|ssm:UpdateInstanceInformation|ssmmessages:\w+"
    r"|lambda:GetAccountSettings|cloudwatch:GetMetricStatistics|lambda:ListLayerVersions"
)


def statements(purpose, scope):
    """All statements of a purpose but those that say who may take a role."""
    return [s for policy in policies(scope, purpose).values() for s in policy["Statement"] if "Principal" not in s]


def named(purpose, part, scope=FULL):
    return {s["Sid"]: s for s in policies(scope, purpose)[part]["Statement"]}


@pytest.mark.parametrize(("purpose", "scope"), CASES)
def test_no_action_is_a_pattern_and_no_resource_is_everything_where_one_can_be_named(purpose, scope):
    for statement in statements(purpose, scope):
        for action in statement["Action"]:
            assert re.fullmatch(r"[a-z0-9-]+:[A-Z]\w+", action)
            if statement["Effect"] == "Deny":
                continue
            if statement["Resource"] == ["*"]:
                assert WITHOUT_RESOURCE.fullmatch(action), action
            else:
                assert all(arn.startswith(f"arn:{scope.partition}:") for arn in statement["Resource"])
                assert "*" not in statement["Resource"]


@pytest.mark.parametrize(("purpose", "scope"), CASES)
def test_what_ends_or_changes_something_asks_for_efsprovs_tag(purpose, scope):
    ending = {
        **dict.fromkeys(
            ["ec2:TerminateInstances", "ec2:DeleteSecurityGroup", "ec2:DeleteKeyPair", "ec2:GetConsoleOutput"],
            "efsprov:run",
        ),
        **dict.fromkeys(["lambda:DeleteFunction", "lambda:UpdateFunctionCode"], "efsprov:builder"),
    }
    for statement in statements(purpose, scope):
        for action in ending.keys() & set(statement["Action"]):
            assert statement["Condition"]["Null"] == {f"aws:ResourceTag/{ending[action]}": "false"}


@pytest.mark.parametrize("purpose", ["ec2", "lambda"])
def test_a_role_is_handed_to_one_service_only(purpose):
    passing = [s for s in statements(purpose, FULL) if "iam:PassRole" in s["Action"]]
    assert len(passing) == 1
    assert passing[0]["Resource"] == ["arn:aws:iam::123456789012:role/efsprov-builder"]
    assert passing[0]["Condition"] == {"StringEquals": {"iam:PassedToService": f"{purpose}.amazonaws.com"}}
    (trusted,) = policies(FULL, purpose)["builder-trust"]["Statement"]
    assert trusted["Principal"] == {"Service": f"{purpose}.amazonaws.com"}


@pytest.mark.parametrize("purpose", ["layer", "attach", "doctor", "models", "bundles"])
def test_no_role_is_handed_out_elsewhere(purpose):
    assert all("iam:PassRole" not in s["Action"] for s in statements(purpose, FULL))


def test_what_is_made_carries_efsprovs_tags_from_the_start():
    by_name = named("ec2", "orchestrator")
    for name in (
        "ImportTaggedKeys",
        "CreateTaggedGroups",
        "TagTheRule",
        "LaunchTaggedInstances",
        "WithEncryptedVolumes",
        "WithTaggedParts",
    ):
        assert by_name[name]["Condition"]["Null"]["aws:RequestTag/efsprov:run"] == "false", name
    tagging = by_name["TagAtBirth"]["Condition"]["StringEquals"]["ec2:CreateAction"]
    assert tagging == ["AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "ImportKeyPair", "RunInstances"]
    assert by_name["MarkLeftovers"]["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] == ["efsprov:marked"]
    made = named("lambda", "orchestrator")["MakeItTagged"]
    assert made["Condition"] == {"Null": {"aws:RequestTag/efsprov:builder": "false"}}
    assert made["Resource"] == ["arn:aws:lambda:eu-central-1:123456789012:function:efsprov-build"]


def test_an_instance_must_be_launched_as_efsprov_launches_it():
    launch = named("ec2", "orchestrator")["LaunchTaggedInstances"]
    assert launch["Condition"]["StringEquals"] == {"ec2:MetadataHttpTokens": "required"}
    assert launch["Condition"]["NumericEquals"] == {"ec2:MetadataHttpPutResponseHopLimit": "1"}


def test_the_instance_may_mount_and_write_and_nothing_else():
    (statement,) = policies(FULL, "ec2")["builder"]["Statement"]
    assert statement["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    assert statement["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"].endswith("/fsap-12345678")
    assert statement["Condition"]["Bool"] == {
        "aws:SecureTransport": "true",
        "elasticfilesystem:AccessedViaMountTarget": "true",
    }


def test_functions_may_not_write_and_their_code_may_not_touch_the_network():
    function = named("attach", "function")
    assert function["MountTheFileSystem"]["Action"] == ["elasticfilesystem:ClientMount"]
    for statements_, names in ((function, ("classify", "ml-*")), (named("lambda", "builder"), ("efsprov-build",))):
        denied = statements_["ButNotTheFunctionsCode"]
        assert denied["Effect"] == "Deny"
        allowed = {a for name in ("LetLambdaJoinTheVpc", "LetLambdaLookAtTheVpc") for a in statements_[name]["Action"]}
        assert set(denied["Action"]) == allowed
        assert denied["Condition"] == {
            "ArnLike": {
                "lambda:SourceFunctionArn": [f"arn:aws:lambda:eu-central-1:123456789012:function:{n}" for n in names]
            }
        }


def test_the_doctor_and_attach_ask_the_builder_function_only_where_it_is_named():
    alone = dataclasses.replace(FULL, builder_function="")
    for purpose in ("attach", "doctor"):
        assert "lambda:InvokeFunction" in actions_of(policies(FULL, purpose)["orchestrator"])
        assert "lambda:InvokeFunction" not in actions_of(policies(alone, purpose)["orchestrator"])


def test_the_doctor_only_reads():
    reading = re.compile(r"\w+:(Describe|Get|List|Simulate)\w+")
    alone = dataclasses.replace(FULL, builder_function="")
    assert all(reading.fullmatch(action) for action in actions_of(policies(alone, "doctor")["orchestrator"]))


@pytest.mark.parametrize(("purpose", "scope"), CASES)
def test_the_files_are_json_and_small_enough_for_a_managed_policy(purpose, scope):
    for name, text in files(scope, purpose).items():
        document = json.loads(text)
        assert document["Version"] == "2012-10-17"
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: white space does not count
        assert len(re.sub(r"\s", "", text)) <= 6144, name
        names = [s.get("Sid") for s in document["Statement"] if "Sid" in s]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in names)


@pytest.mark.parametrize(
    ("purpose", "field", "option"),
    [
        ("ec2", "file_system", "--file-system"),
        ("lambda", "access_point", "--access-point"),
        ("lambda", "builder_function", "--builder-function"),
        ("attach", "functions", "--function"),
        ("doctor", "access_point", "--access-point"),
        ("models", "bucket", "--bucket"),
        ("bundles", "bucket", "--bucket"),
    ],
)
def test_what_a_purpose_cannot_do_without_is_asked_for(purpose, field, option):
    with pytest.raises(UsageError, match=option):
        files(dataclasses.replace(FULL, **{field: None}), purpose)


@pytest.mark.parametrize("purpose", PARTS)
def test_each_action_is_documented(purpose):
    sections = dict(
        re.findall(r"^## `--for (\w+)`[^\n]*\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
    listed = set(re.findall(r"^\| `([a-z0-9-]+:\w+)`", sections[purpose], re.MULTILINE))
    scopes = [scope for case in CASES for of, scope in [case.values] if of == purpose]
    assert listed == set().union(*(granted(purpose, scope) for scope in scopes))


# What the code asks of AWS, found in its text: any client's method that it calls

SERVICES = {
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "efs": "elasticfilesystem",
    "iam": "iam",
    "lambda": "lambda",
    "s3": "s3",
    "ssm": "ssm",
    "sts": "sts",
}
RECEIVERS = {
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "efs": "efs",
    "iam": "iam",
    "awslambda": "lambda",
    "ssm": "ssm",
    "sts": "sts",
} | dict.fromkeys(("client", "_client"), "s3")
NAMED_OTHERWISE = {  # an operation and the action that allows it: the service authorization reference
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
FREE = {"sts:GetCallerIdentity"}  # needs no permission
# what an operation takes besides the action of its own name
BESIDES = {
    "ec2:RunInstances": {"iam:PassRole"},
    "elasticfilesystem:DescribeMountTargetSecurityGroups": {"ec2:DescribeNetworkInterfaceAttribute"},
    "lambda:CreateFunction": {"iam:PassRole", "lambda:TagResource", "elasticfilesystem:DescribeMountTargets"},
    "lambda:UpdateFunctionConfiguration": {
        *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
        "elasticfilesystem:DescribeMountTargets",
    },
    "s3:GetObject": {"s3:GetObjectVersion"},
    "s3:PutObject": {"s3:AbortMultipartUpload"},  # by the transfer that uploads in parts
}
OF_OTHER_PROGRAMS = {
    "ssm:StartSession",
    "ssmmessages:OpenDataChannel",
    "ec2-instance-connect:OpenTunnel",
}  # the ways in are the AWS command line's


def called_operations():
    clients = {name: boto3.client(name, region_name="us-east-1") for name in SERVICES}
    found = set()
    for file in sorted((REPOSITORY / "efsprov").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Attribute):
                continue
            receiver = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            service = RECEIVERS.get(receiver)
            operation = service and clients[service].meta.method_to_api_mapping.get(node.attr)
            if operation:
                found.add(f"{SERVICES[service]}:{operation}")
    assert {"ec2:RunInstances", "lambda:Invoke", "s3:ListObjectsV2", "iam:SimulatePrincipalPolicy"} <= found
    return {NAMED_OTHERWISE.get(operation, operation) for operation in found} - FREE


def granted(purpose, scope=FULL):
    return frozenset().union(
        *(actions_of(p) for part, p in policies(scope, purpose).items() if part != "builder-trust")
    )


def test_the_policies_of_the_orchestrators_are_what_the_code_calls():
    called = called_operations()
    needed = called.union(*(more for operation, more in BESIDES.items() if operation in called)) | OF_OTHER_PROGRAMS
    allowed = {
        action
        for case in CASES
        for purpose, scope in [case.values]
        for action in actions_of(policies(scope, purpose)["orchestrator"])
    }
    assert allowed == needed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, without white space: of a managed policy,
# and of all inline policies of a role
MANAGED, INLINE = 6144, 10_240


@pytest.mark.parametrize(("purpose", "scope"), CASES)
def test_each_policy_fits_into_a_managed_policy(purpose, scope):
    for part, policy in policies(scope, purpose).items():
        assert len(re.sub(r"\s", "", json.dumps(policy))) <= MANAGED, part
