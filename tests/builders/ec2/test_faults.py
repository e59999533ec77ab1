"""What EC2 may answer between the first request and the last, each thing once: nothing is left, and the message helps."""

import re
import subprocess
from datetime import UTC, datetime

import pytest

from efsprov.aws.errors import code_of
from efsprov.aws.session import open_session
from efsprov.builders.ec2.reap import Reaping
from efsprov.builders.ec2.run_record import read_records
from efsprov.builders.ec2.steps import STEPS
from efsprov.core.errors import AwsError, BuilderError, RootError
from tests.builders.ec2.conftest import Failing


@pytest.mark.parametrize("name", [type(step).__name__ for step in STEPS])
def test_a_failure_at_any_step_leaves_nothing(cloud, ask, heard, name):
    steps = tuple(Failing(step) if type(step).__name__ == name else step for step in STEPS)
    with pytest.raises(BuilderError, match="made up"):
        cloud.builder(steps=steps).run(ask(), heard)
    assert cloud.left() == []
    assert read_records() == ()


class Hurrying:
    """Leaves the build hardly any time."""

    title = "hurrying"

    def run(self, launch):
        launch.settings = launch.settings.model_copy(update={"minutes": 0.02})


def test_a_build_that_takes_too_long_is_stopped_and_leaves_nothing(cloud, ask, heard, tmp_path):
    with pytest.raises(BuilderError, match="took longer than the 1 s"):
        cloud.builder(steps=(*STEPS, Hurrying())).run(ask(f"wait {tmp_path / 'never'}"), heard)
    assert cloud.left() == []
    assert read_records() == ()


# EC2 answers badly


@pytest.mark.parametrize("lose", ["lose_reply", "lose_request"])
@pytest.mark.parametrize("action", ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress"])
def test_a_lost_reply_or_request_is_asked_again(cloud, ask, heard, lose, action):
    getattr(cloud.aws, lose)(f"ec2:{action}")
    steps = (*STEPS[:1], Failing(STEPS[1]))
    with pytest.raises(BuilderError, match=r"^made up$"):
        cloud.builder(steps=steps).run(ask(), heard)
    assert len(cloud.aws.named(f"ec2:{action}")) >= 2
    assert cloud.left() == []


def test_a_lost_reply_of_run_instances_gives_one_instance(cloud, ask, heard):
    held = cloud.aws.hold("ec2:RunInstances", when="after")
    held.released.set()  # the dry run
    cloud.aws.lose_reply("ec2:RunInstances", times=2)
    cloud.builder().run(ask(), heard)
    tokens = [s.parameters["ClientToken"] for s in cloud.aws.named("ec2:RunInstances")[1:]]
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert len(cloud.instances.made) == 1
    assert cloud.left() == []


def test_not_found_right_after_the_launch(cloud, ask, heard):
    cloud.aws.ec2.unseen_answers = 4
    cloud.builder().run(ask(), heard)
    assert cloud.left() == []


def test_not_found_from_terminate_does_not_count_as_terminated(cloud, ask, heard):
    cloud.aws.fail("ec2:TerminateInstances", "InvalidInstanceID.NotFound", times=3)
    cloud.builder().run(ask(), heard)
    assert len(cloud.aws.named("ec2:TerminateInstances")) == 4
    assert cloud.left() == []


def test_no_capacity_means_the_next_zone_then_the_next_type(cloud, ask, heard):
    cloud.aws.fail("ec2:RunInstances", "InsufficientInstanceCapacity", status=500, times=2, skip=1)
    cloud.builder().run(ask(), heard)
    launched = [s.parameters for s in cloud.aws.named("ec2:RunInstances")[1:]]
    assert [(p["InstanceType"], p["NetworkInterface.1.SubnetId"]) for p in launched] == [
        ("m7i.xlarge", cloud.subnets[0]),
        ("m7i.xlarge", cloud.subnets[1]),
        ("m6i.xlarge", cloud.subnets[0]),
    ]
    assert len({p["ClientToken"] for p in launched}) == 3
    assert cloud.left() == []


def test_no_capacity_anywhere_is_reported_clearly_and_not_asked_again(cloud, ask, heard):
    cloud.aws.fail("ec2:RunInstances", "InsufficientInstanceCapacity", status=500, times=99, skip=1)
    with pytest.raises(BuilderError, match="no instance for the builder at the moment") as caught:
        cloud.builder().run(ask(), heard)
    assert "m6i.xlarge in eu-central-1b" in caught.value.message
    assert "--instance-type" in caught.value.hint
    assert len(cloud.aws.named("ec2:RunInstances")) == 1 + 4
    assert cloud.left() == []


def test_a_quota_is_reported_in_plain_words(cloud, ask, heard):
    cloud.aws.fail(
        "ec2:RunInstances", "VcpuLimitExceeded", "You have requested more vCPU capacity than your limit.", skip=1
    )
    with pytest.raises(AwsError, match="quota of vCPUs") as caught:
        cloud.builder().run(ask(), heard)
    assert "Service Quotas" in caught.value.hint
    assert cloud.left() == []


def test_throttling_and_server_errors_are_survived_with_one_effect(cloud, ask, heard):
    cloud.aws.fail("ec2:RunInstances", "RequestLimitExceeded", status=503, times=2, skip=1)
    cloud.aws.fail("ec2:RunInstances", "InternalError", status=500, times=1, skip=1)
    cloud.aws.fail("ec2:DescribeInstances", "RequestLimitExceeded", status=503, times=2)
    cloud.aws.fail("ec2:TerminateInstances", "ServiceUnavailable", status=503, times=2)
    cloud.aws.fail("ec2:CreateSecurityGroup", "Throttling", times=2)
    cloud.builder().run(ask(), heard)
    assert len(cloud.instances.made) == 1
    assert len(cloud.aws.named("ec2:RunInstances")) == 5
    assert cloud.left() == []


def test_access_denied_comes_with_the_decoded_message(cloud, ask, heard):
    cloud.aws.identities.decoded["ENCODED"] = (
        '{"allowed": false, "explicitDeny": true, "matchedStatements": {"items": [{"statementId": "NoBuilders"}]}, "context": '
        '{"principal": {"arn": "arn:aws:iam::123456789012:user/ann"}, "action": "ec2:RunInstances", "resource": "arn:aws:ec2:*:*:instance/*"}}'
    )
    message = "You are not authorized to perform this operation. Encoded authorization failure message: ENCODED"
    cloud.aws.fail("ec2:RunInstances", "UnauthorizedOperation", message, status=403)
    with pytest.raises(AwsError) as caught:
        cloud.builder().run(ask(), heard)
    assert "arn:aws:iam::123456789012:user/ann may not ec2:RunInstances" in caught.value.message
    assert "a statement denies it explicitly (NoBuilders)" in caught.value.message
    assert "ENCODED" not in caught.value.message
    assert "efsprov iac iam" in caught.value.hint
    assert code_of(caught.value) == "UnauthorizedOperation"
    assert not cloud.aws.named("ec2:ImportKeyPair"), "the dry run told it before anything was made"


# The clean-up fails


def test_what_cannot_be_removed_is_named_with_the_command_that_removes_it(cloud, ask, heard):
    cloud.aws.fail("ec2:DeleteSecurityGroup", "UnauthorizedOperation", times=1, status=403)
    with pytest.raises(BuilderError, match="was published, but not all of its builder is gone") as caught:
        cloud.builder().run(ask(), heard)
    group = cloud.left()
    assert len(group) == 1
    assert f"aws ec2 delete-security-group --region eu-central-1 --group-id {group[0]}" in caught.value.message
    assert re.search(r"warning: the security group sg-\w+ is left", heard.text)
    assert len(read_records()) == 1


def test_a_failure_is_not_hidden_by_that_of_the_clean_up(cloud, ask, heard):
    cloud.aws.fail("ec2:TerminateInstances", "UnauthorizedOperation", times=1, status=403)
    cloud.aws.fail("ec2:DeleteSecurityGroup", "UnauthorizedOperation", times=1, status=403)
    with pytest.raises(RootError, match="No space left") as caught:
        cloud.builder().run(ask("full"), heard)
    assert "aws ec2 terminate-instances --region eu-central-1 --instance-ids i-" in caught.value.message
    assert len(cloud.left()) == 3  # the instance, its machine, the group; the key is gone


def test_an_instance_is_kept_on_failure_when_asked_for(cloud, ask, heard):
    request = ask("full")
    with pytest.raises(RootError):
        cloud.builder(keep_on_failure=True).run(request, heard)
    assert len(cloud.left()) == 4
    record = read_records()[0]
    assert record.kept
    assert oct(record.key_file.stat().st_mode & 0o777) == "0o600"
    command = re.search(r"was kept: (ssh .*) \(its host key: (.*)\)", heard.text)
    words = command[1].split()
    hosts = record.key_file.with_suffix(".hosts")
    hosts.write_text(f"[{words[-1].partition('@')[2]}]:{cloud.instances.port} {command[2]}\n")
    done = subprocess.run(
        [*words[:1], "-o", f"UserKnownHostsFile={hosts}", *words[1:], "cat /run/efsprov/lease"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "keep\n"
    reaping = Reaping(open_session(), lambda: datetime.now(UTC), at_once=True, run=request.run)
    assert all(one.action == "leave" for one in reaping.plan()), "this process, which made it, is alive"
