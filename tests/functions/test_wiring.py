"""Changes of a function under its revision, over boto3, against an endpoint that keeps revisions and file systems."""

import dataclasses

import pytest

from efsprov.aws.functions import find_function, get_function, update_configuration, wait_until_settled
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, ConflictError
from efsprov.core.retry import Policy
from efsprov.functions.attachment import Attachment, plan_attachment
from efsprov.functions.wiring import carry_out, read_settled
from tests.lambda_runtime.calls import ACCESS_POINT, ON_EFS, ROLE, client, zipped
from tests.lambda_runtime.endpoint import LambdaEndpoint
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
def aws(endpoint):
    return local_aws(**{"lambda": endpoint.url})


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


class Forgetful:
    """A client whose first update takes effect, but whose reply is lost."""

    def __init__(self, real):
        self._real, self.lost = real, False

    def __getattr__(self, name):
        return getattr(self._real, name)

    def update_function_configuration(self, **parameters):
        answer = self._real.update_function_configuration(**parameters)
        if not self.lost:
            self.lost = True
            from botocore.exceptions import ConnectionClosedError

            raise ConnectionClosedError(endpoint_url="lambda")
        return answer


class ForgetfulSession(LocalSession):
    def client(self, service, **options):
        return Forgetful(super().client(service, **options))


def test_a_reply_that_is_lost_is_not_taken_for_somebody_elses_change(endpoint):
    policy = Policy("test", attempts=3, seconds=20, first=0.6, longest=0.6)
    aws = Aws(ForgetfulSession({"lambda": endpoint.url}), "us-east-1", throttled=policy)
    before = read_settled(aws, "f")
    after = update_configuration(aws, before, {"MemorySize": 1024})
    assert after.memory == 1024


def test_an_update_that_comes_to_nothing_is_an_error(aws, endpoint):
    before = read_settled(aws, "f")
    endpoint.functions.fail_next_update("SubnetOutOfIPAddresses", "no address is left in subnet-1")
    with pytest.raises(AwsError, match="no address is left in subnet-1"):
        carry_out(aws, before, plan_attachment(before, WANTED))


def test_a_function_that_is_not_there(aws):
    assert find_function(aws, "none") is None
    with pytest.raises(AwsError, match="Function not found"):
        read_settled(aws, "none")


def test_what_lambda_refuses_is_told_in_its_words(aws):
    before = read_settled(aws, "f")
    wrong = WANTED.model_copy(update={"mount_path": "/srv/efs"})
    with pytest.raises(AwsError, match="LocalMountPath"):
        carry_out(aws, before, plan_attachment(before, wrong))
    assert dataclasses.replace(get_function(aws, "f"), revision=before.revision) == before
