"""The orchestrator is killed, at any step and within any request: what it leaves ends by itself, and reap removes it."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from efsprov.aws.session import open_session
from efsprov.builders.ec2.reap import Reaping
from efsprov.builders.ec2.run_record import read_records
from efsprov.builders.ec2.steps import STEPS

REPOSITORY = Path(__file__).parents[3]
STEP_NAMES = [type(step).__name__ for step in STEPS]
TIMER = "systemd-run --no-block --unit=efsprov-deadman"


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


def noted(instance):
    try:
        return "\n".join(instance.notes)
    except (OSError, IndexError):  # it has not come so far
        return ""


def wait_for_timer(instance):
    """Wait until the timer that powers the instance off is set, as its boot does first."""
    until = time.monotonic() + 60
    while TIMER not in noted(instance):
        assert time.monotonic() < until, instance.console()
        time.sleep(0.05)


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
    assert len(cloud.instances.made) == (STEP_NAMES.index(name) >= STEP_NAMES.index("LaunchInstance"))
    for instance in cloud.instances.made:
        wait_for_timer(instance)
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
    result = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "removing the builder" in result
    assert cloud.left() == []
    assert read_records() == ()


def test_the_token_is_on_disk_before_it_is_sent(cloud, ask, orchestrate, tmp_path):
    held = cloud.aws.hold("ec2:RunInstances", skip=1)
    process = orchestrate(ask())
    held.wait()
    sent = cloud.aws.named("ec2:RunInstances")[1].parameters["ClientToken"]
    assert [attempt.token for record in read_records() for attempt in record.attempts] == [sent]
    kill(process)
    held.released.set()
