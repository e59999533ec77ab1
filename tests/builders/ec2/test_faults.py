"""What can go wrong between the first request and the last, each thing once: nothing is left, and the message helps."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from efsprov.aws.errors import code_of
from efsprov.aws.session import open_session
from efsprov.builders.ec2 import builder as builder_module
from efsprov.builders.ec2.launch import Patience
from efsprov.builders.ec2.reap import Reaping
from efsprov.builders.ec2.run_record import read_records
from efsprov.builders.ec2.steps import STEPS
from efsprov.core.errors import AwsError, BuilderError, RootError
from tests.builders.conftest import StandIn

REPOSITORY = Path(__file__).parents[3]
STEP_NAMES = [type(step).__name__ for step in STEPS]


class Failing:
    """A step that does its work and then fails."""

    def __init__(self, step):
        self.title = step.title
        self._step = step

    def run(self, launch):
        self._step.run(launch)
        raise BuilderError("made up")


@pytest.mark.parametrize("name", STEP_NAMES)
def test_a_failure_at_any_step_leaves_nothing(cloud, ask, heard, name):
    steps = tuple(Failing(step) if type(step).__name__ == name else step for step in STEPS)
    broken = builder_module.Ec2Builder(cloud.configured(), StandIn(), patience=cloud.builder().patience, steps=steps)
    with pytest.raises(BuilderError, match="made up"):
        broken.run(ask(), heard)
    assert cloud.left() == []
    assert read_records() == ()


# The orchestrator is killed


@pytest.fixture
def orchestrate(cloud):
    started = []

    def start(request, *stop):
        started.append(_orchestrator(cloud, request, *stop))
        return started[-1]

    yield start
    for process in started:
        kill(process)


def _orchestrator(cloud, request, *stop):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.builders.ec2.orchestrator",
            cloud.configured().model_dump_json(),
            request.model_dump_json(),
            *stop,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        start_new_session=True,
    )


def wait_for_line(process, wanted):
    for line in process.stdout:
        if line.strip() == wanted:
            return
    pytest.fail(f"the orchestrator never said {wanted!r}")


def reap():
    reaping = Reaping(open_session(), lambda: datetime.now(UTC), at_once=True)
    return reaping.execute(reaping.plan(), lambda message: None)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("name", STEP_NAMES)
def test_sigkill_after_any_step_leaves_what_reap_removes(cloud, ask, orchestrate, name):
    process = orchestrate(ask(), name)
    wait_for_line(process, "stopped")
    kill(process)
    assert cloud.left() != []
    assert len(read_records()) == 1
    assert all(
        "systemd-run --no-block --unit=efsprov-deadman" in " ".join(i.notes)
        for i in cloud.instances.made
        if name in STEP_NAMES[4:]
    )
    reap()
    assert cloud.left() == []
    assert read_records() == ()


def test_sigkill_during_the_build_leaves_what_reap_removes(cloud, ask, orchestrate, tmp_path):
    process = orchestrate(ask("say here", f"wait {tmp_path / 'never'}"))
    wait_for_line(process, "here")
    kill(process)
    reap()
    assert cloud.left() == []


@pytest.mark.parametrize(
    "action", ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_sigkill_within_any_creating_request(cloud, ask, orchestrate, action, when):
    held = cloud.aws.hold(f"ec2:{action}", when=when, skip=1 if action == "RunInstances" and when == "before" else 0)
    if action == "RunInstances" and when == "after":
        held.released.set()  # the dry run passes
        held = cloud.aws.hold("ec2:RunInstances", when="after")
    process = orchestrate(ask())
    held.wait()
    kill(process)
    held.released.set()
    reap()
    assert cloud.left() == []


def test_an_instance_whose_orchestrator_is_gone_powers_itself_off(cloud, ask, orchestrate, tmp_path):
    process = orchestrate(ask("say here", f"wait {tmp_path / 'never'}"))
    wait_for_line(process, "here")
    instance = cloud.instances.made[0]
    kill(process)
    # the timer that runs has fifteen minutes of patience: a second one has less, so that the test has, too
    inside = ["nsenter", "--target", instance.init, "--mount", "--pid", "env", f"PATH=/run/stubs:{os.environ['PATH']}"]
    with subprocess.Popen([*inside, "sh", "/run/efsprov/deadman.sh", "3600", "2", "1"]) as timer:
        instance.process.wait(60)  # its own end: nobody else ends it
        timer.kill()
    assert "Power down" in instance.console()
    reap()  # the group and the key
    assert cloud.left() == []


@pytest.mark.parametrize("where", ["waiting for its SSH server", "here"])
def test_an_interrupt_cleans_up(cloud, ask, orchestrate, tmp_path, where):
    process = orchestrate(ask("say here", f"wait {tmp_path / 'never'}"))
    wait_for_line(process, where)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "removing the builder" in told
    assert cloud.left() == []
    assert read_records() == ()


# EC2 answers badly


@pytest.mark.parametrize("lose", ["lose_reply", "lose_request"])
@pytest.mark.parametrize("action", ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress"])
def test_a_lost_reply_or_request_is_asked_again(cloud, ask, heard, lose, action):
    getattr(cloud.aws, lose)(f"ec2:{action}")
    steps = (*STEPS[:1], Failing(STEPS[1]))
    broken = builder_module.Ec2Builder(cloud.configured(), StandIn(), patience=cloud.builder().patience, steps=steps)
    with pytest.raises(BuilderError, match=r"^made up$"):
        broken.run(ask(), heard)
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


def test_the_token_is_on_disk_before_it_is_sent(cloud, ask, orchestrate, tmp_path):
    held = cloud.aws.hold("ec2:RunInstances", skip=1)
    process = orchestrate(ask())
    held.wait()
    sent = cloud.aws.named("ec2:RunInstances")[1].parameters["ClientToken"]
    assert [attempt.token for record in read_records() for attempt in record.attempts] == [sent]
    kill(process)
    held.released.set()


def test_not_found_right_after_the_launch(cloud, ask, heard):
    cloud.aws.unseen_answers = 4
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


def test_no_capacity_anywhere_is_told_clearly_and_not_asked_again(cloud, ask, heard):
    cloud.aws.fail("ec2:RunInstances", "InsufficientInstanceCapacity", status=500, times=99, skip=1)
    with pytest.raises(BuilderError, match="no instance for the builder at the moment") as caught:
        cloud.builder().run(ask(), heard)
    assert "m6i.xlarge in eu-central-1b" in caught.value.message
    assert "--instance-type" in caught.value.hint
    assert len(cloud.aws.named("ec2:RunInstances")) == 1 + 4
    assert cloud.left() == []


def test_a_quota_is_told_in_plain_words(cloud, ask, heard):
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
    cloud.aws.decoded["ENCODED"] = (
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


# The instance behaves badly


def test_an_instance_that_dies_during_boot_is_told_with_its_reason(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "kernel panic"})
    with pytest.raises(BuilderError, match=r"Client\.InstanceInitiatedShutdown: Instance initiated shutdown") as caught:
        cloud.builder().run(ask(), heard)
    assert "Kernel panic - not syncing: made up" in caught.value.message
    assert cloud.left() == []


def test_a_lack_of_capacity_that_shows_only_later_is_told_as_the_reason(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "Server.InsufficientInstanceCapacity"})
    with pytest.raises(BuilderError, match=r"Server\.InsufficientInstanceCapacity"):
        cloud.builder().run(ask(), heard)
    assert cloud.left() == []


def test_an_ssh_server_that_never_comes_up_is_told_with_the_console(cloud, ask, heard):
    cloud.instances.fates.append({"fate": "no sshd"})
    hasty = builder_module.Ec2Builder(cloud.configured(), StandIn(), patience=Patience(boot=3, look=0.3))
    with pytest.raises(BuilderError, match="does not let us in by SSH after 3 s") as caught:
        hasty.run(ask(), heard)
    assert "Its console last said:\n[console] cloud-init starts" in caught.value.message
    assert "192.0.2.7/32" in caught.value.hint
    assert cloud.left() == []


def test_a_wrong_host_key_stops_before_anything_is_sent(cloud, ask, heard, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    cloud.instances.fates.append({"host_key": (tmp_path / "other").read_text()})
    with pytest.raises(BuilderError, match="Nothing was sent") as caught:
        cloud.builder().run(ask(), heard)
    assert "was given its host key when it was launched" in caught.value.message
    console = cloud.instances.made[0].console()
    assert "Connection from" in console
    assert "Accepted" not in console
    assert "Connection closed by authenticating user" not in console
    assert cloud.left() == []


def test_a_connection_cut_three_times_during_the_build(cloud, ask, heard, tmp_path):
    cuts = []

    def act(message):
        if message.startswith("cut"):
            cuts.append(cloud.instances.made[0].cut())
            (tmp_path / message).touch()

    heard.act = act
    notes = [n for i in range(3) for n in (f"say cut{i}", f"wait {tmp_path / f'cut{i}'}", "events 20")]
    result = cloud.builder().run(ask(*notes), heard)
    assert result.outcome == "published"
    assert len(cuts) == 3
    assert all(cuts)
    told = [e.message for e in heard if e.step == "stage"]
    assert told == [line for i in range(3) for line in (f"cut{i}", *(f"event {n}" for n in range(20)))]
    assert cloud.left() == []


def test_packages_that_cannot_be_installed_are_told(cloud, ask, heard):
    cloud.instances.fates.append(
        {"dnf": "echo 'Error: Failed to download metadata for repo'; exit 1", "user_data_changes": {"wait=2": "wait=0"}}
    )
    with pytest.raises(BuilderError, match="cannot be installed") as caught:
        cloud.builder().run(ask(), heard)
    assert "Failed to download metadata" in caught.value.message
    assert cloud.left() == []


def test_a_file_system_that_cannot_be_mounted_is_told(cloud, ask, heard):
    cloud.instances.fates.append({"file_system": "/nonexistent", "user_data_changes": {"wait=2": "wait=0"}})
    with pytest.raises(BuilderError, match="cannot be mounted"):
        cloud.builder().run(ask(), heard)
    assert cloud.left() == []


def test_a_disk_that_the_build_fills_still_has_room_for_its_last_word(cloud, ask, heard):
    small = {"XDG_STATE_HOME": "/run/small/state", "XDG_CACHE_HOME": "/run/small/cache"}
    cloud.instances.environment = small
    cloud.instances.fates.append({"small_disk": 3 << 20})
    with pytest.raises(RootError, match="No space left on device"):
        cloud.builder().run(ask("events 10", "fill /run/small/big", "events 1000"), heard)
    assert cloud.left() == []


def test_a_disk_without_room_to_start_is_told(cloud, ask, heard):
    cloud.instances.environment = {"XDG_STATE_HOME": "/run/small/state", "XDG_CACHE_HOME": "/run/small/cache"}
    cloud.instances.fates.append({"small_disk": 256 << 10})
    with pytest.raises(BuilderError, match="No space left on device") as caught:
        cloud.builder().run(ask(), heard)
    assert "XDG_STATE_HOME" in caught.value.hint
    assert cloud.left() == []


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
