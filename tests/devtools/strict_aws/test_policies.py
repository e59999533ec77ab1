"""IAM's decisions: implicit and explicit deny, missing condition keys, wildcards, quantifiers."""

import pytest

from devtools.strict_aws import proof
from devtools.strict_aws.policies import Check, decide, matches, without

ARN = "arn:aws:ec2:eu-central-1:123456789012:instance/i-1"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action="ec2:RunInstances", resource="*", **more):
    return {"Sid": "A", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def allowed(statements, action="ec2:RunInstances", resource=ARN, **context):
    return decide(
        [policy(*statements)], Check(action, resource, {k.replace("__", ":"): v for k, v in context.items()})
    ).allowed


def test_what_no_statement_allows_is_denied():
    assert not allowed([])
    assert not allowed([allow("ec2:StopInstances")])
    assert not allowed([allow(resource="arn:aws:ec2:eu-central-1:123456789012:volume/*")])
    assert allowed([allow("EC2:runinstances")]), "names of actions know no case"
    assert allowed([allow(resource=[ARN, "arn:aws:s3:::b"])])


def test_a_deny_wins_wherever_it_stands():
    deny = {"Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Sid": "D"}
    for statements in ([allow(), deny], [deny, allow()]):
        decision = decide([policy(*statements)], Check("ec2:RunInstances", ARN, {}))
        assert (decision.allowed, decision.denied, decision.statements) == (False, True, ("D",))


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}, {"aws__RequestedRegion": ["eu-central-1"]}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}, {"aws__RequestedRegion": ["us-east-1"]}, False),
        ({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}, {}, False),  # a missing key
        ({"Bool": {"aws:SecureTransport": "true"}}, {}, False),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws__SecureTransport": ["true"]}, True),
        ({"BoolIfExists": {"aws:SecureTransport": "true"}}, {}, True),
        ({"StringNotEquals": {"ec2:Region": "x"}}, {}, True),  # a negated operator holds for a missing key
        ({"StringNotEquals": {"ec2:Region": "x"}}, {"ec2__Region": ["x"]}, False),
        ({"Null": {"aws:RequestTag/run": "false"}}, {"aws__RequestTag/run": ["r"]}, True),
        ({"Null": {"aws:RequestTag/run": "false"}}, {}, False),
        ({"Null": {"aws:RequestTag/run": "true"}}, {}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__TagKeys": ["a"]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__TagKeys": ["a", "c"]}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws__TagKeys": ["a", "c"]}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
        ({"NumericEquals": {"ec2:MetadataHttpPutResponseHopLimit": "1"}}, {"ec2__MetadataHttpPutResponseHopLimit": ["1"]}, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3__max-keys": ["11"]}, False),
        ({"StringLike": {"s3:prefix": "prod/*"}}, {"s3__prefix": ["prod/net"]}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, {"aws__SourceArn": ["arn:aws:s3:::b"]}, True),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {"aws__SourceIp": ["192.0.2.7"]}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}, {"aws__CurrentTime": ["2026-11-26T00:00:00Z"]}, True),
        ({"StringEquals": {"AWS:requestedregion": "x"}}, {"aws__RequestedRegion": ["x"]}, True),  # keys know no case
    ],
)  # fmt: skip
def test_conditions(condition, context, expected):
    assert allowed([allow(Condition=condition)], **context) is expected


def test_all_operators_and_all_keys_of_a_condition_have_to_hold():
    both = {"StringEquals": {"a:x": "1", "a:y": "2"}, "Null": {"a:z": "true"}}
    assert allowed([allow(Condition=both)], a__x=["1"], a__y=["2"])
    assert not allowed([allow(Condition=both)], a__x=["1"])
    assert not allowed([allow(Condition=both)], a__x=["1"], a__y=["2"], a__z=["3"])


def test_wildcards():
    assert matches("arn:aws:ec2:*:*:instance/i-?", ARN)
    assert not matches("arn:aws:ec2:*:*:instance/i-??", ARN)
    assert matches("a.b", "a.b")
    assert not matches("a.b", "axb")


def test_a_policy_variable_is_what_the_request_says_and_without_it_nothing():
    own = [allow("a:b", resource="arn:session/${aws:userid}-*")]
    for context, expected in (({"aws:userid": ["ann"]}, True), ({"AWS:UserId": ["ann"]}, True), ({}, False)):
        assert decide([policy(*own)], Check("a:b", "arn:session/ann-1", context)).allowed == expected
    assert not decide([policy(*own)], Check("a:b", "arn:session/eve-1", {"aws:userid": ["ann"]})).allowed


@pytest.mark.parametrize(
    "statement", [{"Effect": "Allow", "NotAction": "a:b", "Resource": "*"}, allow(resource="arn:${nonsense}")]
)
def test_what_is_not_known_here_is_an_error_and_not_a_guess(statement):
    with pytest.raises(NotImplementedError):
        allowed([statement])


def test_an_action_can_be_taken_out_and_what_is_not_needed_shows():
    document = policy(allow(["ec2:RunInstances", "ec2:StopInstances"]), {**allow("ec2:Never"), "Sid": "B"})
    checks = [Check("ec2:RunInstances", ARN, {}), Check("ec2:StopInstances", ARN, {})]
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == ["B: ec2:Never"]
    smaller = without(document, 0, "ec2:StopInstances")
    assert smaller["Statement"][0]["Action"] == ["ec2:RunInstances"]
    assert len(proof.refused([smaller], checks)) == 1
    assert [s["Sid"] for s in without(document, 1, "ec2:Never")["Statement"]] == ["A"]
