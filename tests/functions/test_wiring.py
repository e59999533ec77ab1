"""Changes of a function under its revision, over boto3, against an endpoint that keeps revisions and file systems."""

import dataclasses

import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from efsprov.aws.functions import find_function, get_function, update_configuration, wait_until_settled
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, ConflictError
from efsprov.functions.attachment import Attachment, plan_attachment
from efsprov.functions.wiring import carry_out, read_settled
from efsprov.net.retry import Policy
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ON_EFS, ROLE, client, zipped
from tests.local_aws import LocalSession, local_aws

WANTED = Attachment(access_point=ACCESS_POINT, mount_path="/mnt/efs", variables={"EFSPROV_CHANNEL": "tf"})


@pytest.fixture
def endpoint():
    with LambdaEndpoint({}, reads_until_settled=2) as endpoint:
        aws = client(endpoint)
        settings = {"Runtime": "python3.11", "Role": ROLE, "Handler": "h.h", "VpcConfig": ON_EFS["VpcConfig"]}
        aws.create_function(FunctionName="f", Code={"ZipFile": zipped(h="")}, **settings)
        yield endpoint


@pytest.fixture
def double(endpoint):
    with StrictAws({"lambda": rest_json(endpoint)}) as double:
        yield double


@pytest.fixture
def aws(double):
    return local_aws(**{"lambda": double.url})


def test_attaching_waits_until_the_change_has_taken_effect(aws):
    before = read_settled(aws, "f")
    after = carry_out(aws, before, plan_attachment(before, WANTED))
    assert after.settled
    assert after.mounted[0].access_point_id == ACCESS_POINT.rpartition("/")[2]
    assert after.variables["EFSPROV_CHANNEL"] == "tf"
    assert after.revision != before.revision


def test_a_plan_without_changes_sends_nothing(aws, endpoint):
    before = read_settled(aws, "f")
    after = carry_out(aws, before, plan_attachment(before, WANTED))
    carry_out(aws, after, plan_attachment(after, WANTED))
    assert endpoint.count("UpdateFunctionConfiguration") == 1


def test_a_function_that_somebody_else_changed_is_left_as_they_left_it(aws, endpoint):
    before = read_settled(aws, "f")
    client(endpoint).update_function_configuration(FunctionName="f", MemorySize=512)
    theirs = wait_until_settled(aws, "f")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        carry_out(aws, before, plan_attachment(before, WANTED))
    assert get_function(aws, "f") == theirs


def test_a_reply_that_is_lost_is_not_taken_for_somebody_elses_change(double):
    policy = Policy("test", attempts=3, seconds=20, first=0.6, longest=0.6)
    aws = Aws(LocalSession({"lambda": double.url}), "us-east-1", throttled=policy)
    before = read_settled(aws, "f")
    double.lose_reply("lambda:UpdateFunctionConfiguration")
    after = update_configuration(aws, before, {"MemorySize": 1024})
    assert after.memory == 1024
    assert len(double.named("lambda:UpdateFunctionConfiguration")) == 2


def test_an_update_that_comes_to_nothing_is_an_error(aws, endpoint):
    before = read_settled(aws, "f")
    endpoint.functions.fail_next_update("SubnetOutOfIPAddresses", "no address is left in subnet-1")
    with pytest.raises(AwsError, match="no address is left in subnet-1"):
        carry_out(aws, before, plan_attachment(before, WANTED))


def test_a_function_that_is_not_there(aws):
    assert find_function(aws, "none") is None
    with pytest.raises(AwsError, match="Function not found"):
        read_settled(aws, "none")


def test_what_lambda_refuses_is_reported_in_its_words(aws, double):
    before = read_settled(aws, "f")
    wrong = WANTED.model_copy(update={"mount_path": "/srv/efs"})
    with pytest.raises(AwsError, match="LocalMountPath"):
        carry_out(aws, before, plan_attachment(before, wrong))
    assert dataclasses.replace(get_function(aws, "f"), revision=before.revision) == before
    assert [refusal.rule for refusal in double.refused()] == ["pattern"]
