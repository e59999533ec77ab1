"""The policies: valid, narrow, and documented action by action."""

import json
import re
from pathlib import Path

import pytest

from efsprov.emit.iam import Scope, actions_of, builder_policy, builder_trust_policy, orchestrator_policy, policies

SCOPE = Scope("123456789012", "eu-central-1", "fs-12345678", "fsap-12345678")
SCOPES = [
    SCOPE,
    Scope("123456789012", "eu-central-1", "fs-12345678"),
    *(
        Scope("123456789012", "cn-north-1", "fs-12345678", connect=way, partition="aws-cn")
        for way in ("private", "endpoint", "ssm")
    ),
]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "iam.md"
# https://docs.aws.amazon.com/service-authorization/latest/reference/: actions for which no resource can be named
WITHOUT_RESOURCE = re.compile(
    r"ec2:Describe\w+|sts:DecodeAuthorizationMessage|ssm:UpdateInstanceInformation|ssmmessages:\w+"
)


def statements(scope):
    return [s for document in (orchestrator_policy(scope), builder_policy(scope)) for s in document["Statement"]]


@pytest.mark.parametrize("scope", SCOPES, ids=lambda s: f"{s.connect}-{s.access_point}")
def test_no_action_is_a_pattern_and_no_resource_is_everything_where_one_can_be_named(scope):
    for statement in statements(scope):
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            assert "*" not in action
            assert re.fullmatch(r"[a-z0-9-]+:[A-Z]\w+", action)
            if statement["Resource"] == ["*"]:
                assert WITHOUT_RESOURCE.fullmatch(action), action
            else:
                assert all(arn.startswith(f"arn:{scope.partition}:") for arn in statement["Resource"])
                assert "*" not in statement["Resource"]


@pytest.mark.parametrize("scope", SCOPES, ids=lambda s: f"{s.connect}-{s.access_point}")
def test_what_ends_or_changes_something_asks_for_efsprovs_tag(scope):
    ending = {"ec2:TerminateInstances", "ec2:DeleteSecurityGroup", "ec2:DeleteKeyPair", "ec2:GetConsoleOutput"}
    for statement in statements(scope):
        if ending & set(statement["Action"]):
            assert statement["Condition"]["Null"] == {"aws:ResourceTag/efsprov:run": "false"}


def test_what_is_made_carries_efsprovs_tags_from_the_start():
    by_name = {s["Sid"]: s for s in orchestrator_policy(SCOPE)["Statement"]}
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


def test_an_instance_must_be_launched_as_efsprov_launches_it():
    launch = next(s for s in orchestrator_policy(SCOPE)["Statement"] if s["Sid"] == "LaunchTaggedInstances")
    assert launch["Condition"]["StringEquals"] == {"ec2:MetadataHttpTokens": "required"}
    assert launch["Condition"]["NumericEquals"] == {"ec2:MetadataHttpPutResponseHopLimit": "1"}


def test_the_builder_may_mount_and_write_and_nothing_else():
    (statement,) = builder_policy(SCOPE)["Statement"]
    assert statement["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    assert statement["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"].endswith(
        "access-point/fsap-12345678"
    )
    assert builder_trust_policy()["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}


@pytest.mark.parametrize("scope", SCOPES, ids=lambda s: f"{s.connect}-{s.access_point}")
def test_the_files_are_json_and_small_enough_for_a_managed_policy(scope):
    for name, text in policies(scope).items():
        document = json.loads(text)
        assert document["Version"] == "2012-10-17"
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: white space does not count
        assert len(re.sub(r"\s", "", text)) <= 6144, name
        names = [s.get("Sid") for s in document["Statement"] if "Sid" in s]
        assert len(set(names)) == len(names)


def test_each_action_is_documented():
    page = PAGE.read_text("utf-8")
    listed = set(re.findall(r"^\| `([a-z0-9-]+:\w+)`", page, re.MULTILINE))
    allowed = {
        action
        for scope in SCOPES
        for document in (orchestrator_policy(scope), builder_policy(scope))
        for action in actions_of(document)
    }
    assert listed == allowed
