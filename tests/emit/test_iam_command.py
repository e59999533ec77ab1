"""`efsprov iac iam` as it is typed."""

import json

import pytest
from typer.testing import CliRunner

from efsprov.cli.main import command_line
from efsprov.core.errors import UsageError

HERE = ["--account", "123456789012", "--region", "eu-central-1"]
EFS = ["--file-system", "fs-12345678", "--access-point", "fsap-12345678"]


def iam(*arguments):
    """What is printed; a refusal is raised."""
    done = CliRunner(env={"EFSPROV_CONFIG": ""}).invoke(command_line(), ["iac", "iam", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_one_policy_is_printed_as_json():
    document = json.loads(iam(*HERE, *EFS, "--policy", "builder"))
    assert document["Statement"][0]["Resource"] == [
        "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-12345678"
    ]


def test_each_goes_to_a_file_of_its_own(tmp_path):
    for purpose, more in (("ec2", []), ("lambda", ["--builder-function", "build"]), ("attach", ["--function", "ml-*"])):
        iam("--for", purpose, *HERE, *EFS, *more, "--write", str(tmp_path / "policies"))
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "policies").iterdir()}
    assert sorted(written) == [
        "attach-function-policy.json",
        "attach-orchestrator-policy.json",
        "ec2-builder-policy.json",
        "ec2-builder-trust-policy.json",
        "ec2-orchestrator-policy.json",
        "lambda-builder-policy.json",
        "lambda-builder-trust-policy.json",
        "lambda-orchestrator-policy.json",
    ]
    result = json.loads(iam("--for", "attach", *HERE, *EFS, "--function", "ml-*", "--json"))
    assert json.loads(result["files"]["attach-function-policy.json"]) == written["attach-function-policy.json"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--account", "12"),
        ("--account", "*"),
        ("--region", "*"),
        ("--role", "*"),
        ("--file-system", "fs-*"),
        ("--access-point", "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/*"),
        ("--access-point", "fsap-*"),
        ("--function", "f:*"),
        ("--builder-function", "*"),
        ("--bucket", "*"),
        ("--prefix", "a*"),
        ("--partition", "aws:*"),
    ],
)
def test_nothing_that_would_widen_a_policy_is_taken(option, value):
    with pytest.raises(UsageError, match=option):
        iam(*HERE, *EFS, option, value)


def test_an_access_point_may_be_named_by_its_arn():
    arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-12345678"
    assert iam(*HERE, *EFS, "--access-point", arn) == iam(*HERE, *EFS)


def test_a_policy_that_a_purpose_has_not_is_reported_with_those_that_it_has():
    with pytest.raises(UsageError, match="no policy builder for layer") as caught:
        iam("--for", "layer", *HERE, "--policy", "builder")
    assert "layer-orchestrator-policy.json" in caught.value.hint


@pytest.mark.parametrize(
    ("region", "partition", "principal"),
    [
        ("cn-north-1", "aws-cn", "ec2.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "ec2.amazonaws.com"),
        ("eusc-de-east-1", "aws-eusc", "ec2.amazonaws.com"),
    ],
)
def test_arns_and_principals_are_those_of_the_regions_partition(region, partition, principal):
    text = iam("--for", "ec2", "--account", "123456789012", "--region", region, *EFS, "--json")
    assert f"arn:{partition}:ec2:{region}:123456789012:instance/*" in text
    assert "arn:aws:" not in text
    assert principal in text
