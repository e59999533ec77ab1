"""Java's patterns as Python's, and what the models say in words."""

import re

import pytest

from devtools.strict_aws.patterns import compiled, words_of
from devtools.strict_aws.wire import service_model

SERVICES = ("ec2", "efs", "lambda", "iam", "sts", "ssm", "sqs", "dynamodb", "stepfunctions", "events", "logs", "s3")


@pytest.mark.parametrize("service", SERVICES)
def test_patterns_of_the_services_are_understood(service):
    model = service_model(service)
    patterns = {p for name in model.shape_names if (p := model.shape_for(name).metadata.get("pattern"))}
    lost = {pattern for pattern in patterns if compiled(pattern) is None}
    assert all(re.search(r"\\u[dD]8", pattern) for pattern in lost), lost  # surrogates, which Python's texts have not


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 7 = a@b", "no (brackets)"),
        (r"\p{ASCII}*", "plain", "ö"),
        (r"[\w-/]+", "a-b/c", "a b"),
        (r"^(?![aA]{1}[wW]{1}[sS]{1}:)([\p{L}\p{N}_:]+)$", "name:x", "aws:x"),
    ],
)
def test_a_pattern_of_java_means_the_same(pattern, fits, fits_not):
    assert compiled(pattern).fullmatch(fits)
    assert not compiled(pattern).fullmatch(fits_not)


def member(service, operation, *path):
    shape = service_model(service).operation_model(operation).input_shape
    for name in path:
        shape = shape.member if name == "[]" else shape.members[name]
    return shape.documentation


def test_characters_and_lengths_are_read_from_the_models_words():
    rule = words_of(
        member("ec2", "AuthorizeSecurityGroupIngress", "IpPermissions", "[]", "IpRanges", "[]", "Description")
    )
    assert rule.longest == 255
    assert rule.broken_by("efsprov: from its way in (22)") == ""
    assert '"\'"' in rule.broken_by("efsprov's way in")
    assert "longer" in rule.broken_by("a" * 256)
    name = words_of(member("ec2", "CreateSecurityGroup", "GroupName"))
    assert "begin" in name.broken_by("sg-mine")
    tag = words_of(member("ec2", "CreateTags", "Tags", "[]", "Key"))
    assert "begin" in tag.broken_by("aws:mine")
    assert words_of("<p>Anything. Up to 5 characters.</p>").broken_by("longer than five") == "", "no constraint"


def test_many_members_of_ec2_have_such_words():
    model = service_model("ec2")
    shapes = [model.shape_for(name) for name in model.shape_names]
    documentations = [
        m.documentation for shape in shapes if shape.type_name == "structure" for m in shape.members.values()
    ]
    read = [words for text in documentations if (words := words_of(text)) and (words.allowed or words.longest)]
    assert len(read) >= 20
