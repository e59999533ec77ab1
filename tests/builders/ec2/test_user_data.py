"""The user-data of builders: its form, its scripts, and the timer that ends an instance."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from efsprov.builders.ec2.keypair import KeyPair
from efsprov.builders.ec2.settings import Ec2Settings
from efsprov.builders.ec2.user_data import packages_for, render
from efsprov.core.errors import BuilderError, GateError, UsageError
from efsprov.core.target import LAMBDA_RUNTIMES, Target
from tests.builders.instance import require_namespaces

FOLDER = Path(str(files("efsprov.builders.ec2") / "cloud_init"))
KEY = KeyPair.generate()
# What cloud-init's reference says of the modules that are used, and stricter: no other module, no other key.
# cloud-init itself is not run: its package would take over the machine at the next boot.
COMMANDS = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["bootcmd", "ssh_deletekeys", "ssh_keys", "ssh_pwauth", "disable_root", "write_files", "runcmd"],
    "properties": {
        "bootcmd": COMMANDS,
        "runcmd": COMMANDS,
        "ssh_deletekeys": {"const": True},
        "ssh_pwauth": {"const": False},
        "disable_root": {"const": True},
        "ssh_keys": {
            "type": "object",
            "additionalProperties": False,
            "required": ["ed25519_private", "ed25519_public"],
            "properties": {
                "ed25519_private": {"type": "string", "pattern": "^-----BEGIN OPENSSH PRIVATE KEY-----\n"},
                "ed25519_public": {"type": "string", "pattern": "^ssh-ed25519 [A-Za-z0-9+/=]+ \\S+$"},
            },
        },
        "write_files": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "permissions", "content"],
                "properties": {
                    "path": {"type": "string"},
                    "permissions": {"type": "string", "pattern": "^0[0-7]{3}$"},
                    "content": {"type": "string"},
                },
            },
        },
    },
}


def settings(**changes):
    values = {"file_system": "fs-12345678", "access_point": "fsap-12345678", "instance_profile": "builder"}
    return Ec2Settings(**{**values, **changes}).complete()


def rendered(target="python3.11-x86_64", root="/mnt/efs", **changes):
    return render(settings(**changes), Target.parse(target), root, KEY)


@pytest.mark.parametrize("root", ["/mnt/efs", "/mnt/efs/team", "/mnt/efs/-n,a=b@c:d+e"])
def test_the_user_data_has_the_form_that_cloud_init_reads(root):
    text = rendered(root=root)
    assert text.startswith("#cloud-config\n")
    result = yaml.safe_load(text)
    jsonschema.validate(result, SCHEMA)
    assert result["runcmd"][0][3] == root
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**result, "runcmd": [{}]}, SCHEMA)


@pytest.mark.parametrize("sign", ["'", '"', "$(id)", "`id`", "\\", "#", " ", "\n", "%h", ";", "\N{GRINNING FACE}", "ü"])
def test_what_a_script_must_not_see_is_refused(sign):
    with pytest.raises(UsageError, match="is not a path that a root on an EC2 builder may have"):
        rendered(root=f"/mnt/efs/a{sign}b")
    with pytest.raises(UsageError, match="is not a user's name"):
        rendered(user=f"ec2{sign}user")


def test_a_user_that_looks_like_an_option_is_refused():
    with pytest.raises(UsageError, match="'-R' is not a user's name"):
        rendered(user="-R")


def test_the_scripts_pass_shellcheck(tmp_path):
    if shutil.which("shellcheck") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("shellcheck is not installed")
    scripts = sorted(FOLDER.glob("*.sh"))
    assert [script.name for script in scripts] == ["deadman.sh", "prepare.sh", "rekey.sh"]
    boot = yaml.safe_load(rendered())["bootcmd"][0]
    (tmp_path / "bootcmd.sh").write_text(f"#!/bin/sh\n{boot[2]}")
    subprocess.run(["shellcheck", *scripts, tmp_path / "bootcmd.sh"], check=True)


def test_the_user_data_is_small_enough_and_said_to_be_when_not():
    assert len(rendered().encode()) < 8192
    with pytest.raises(BuilderError, match="EC2 takes 16384"):
        rendered(root="/mnt/efs/" + "x" * 12000)


def test_the_user_data_holds_one_secret_that_is_thrown_away():
    result = yaml.safe_load(rendered())
    assert result["ssh_keys"].pop("ed25519_private") == KEY.private
    assert "PRIVATE" not in json.dumps(result)


@pytest.mark.parametrize("runtime", [runtime.name for runtime in LAMBDA_RUNTIMES])
def test_each_runtime_has_its_packages_or_is_refused(runtime):
    target = Target.parse(f"{runtime}-x86_64")
    if runtime in {"python3.10", "python3.15"}:
        with pytest.raises(GateError, match=rf"no package of Python {re.escape(target.python)}") as caught:
            packages_for(target)
        assert "It has 3.9, 3.11, 3.12, 3.13 and 3.14." in caught.value.hint
        return
    packages = packages_for(target)
    assert packages[0] == "amazon-efs-utils"
    assert packages[1] == ("python3.11" if runtime == "python3.9" else runtime)


def test_the_timer_starts_before_all_else_and_waits_for_nothing():
    command = yaml.safe_load(rendered(minutes=60))["bootcmd"][0][2]
    assert "systemd-run --no-block" in command
    assert "--property=DefaultDependencies=no" in command
    assert "/bin/sh /run/efsprov/deadman.sh 4500 900 20" in command.replace("\\\n", " ").replace("    ", "")


# The timer, with seconds instead of minutes, in a /run of its own


class Timer:
    def __init__(self, folder: Path, *numbers: int) -> None:
        stub = folder / "bin" / "systemctl"
        stub.parent.mkdir()
        stub.write_text('#!/bin/sh\necho "$*" > /run/efsprov/systemctl\n')
        stub.chmod(0o755)
        script = f"mount -t tmpfs tmpfs /run && mkdir /run/efsprov && exec sh {FOLDER / 'deadman.sh'} {' '.join(map(str, numbers))}"
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script],
            env={"PATH": f"{stub.parent}:{os.environ['PATH']}"},
            start_new_session=True,
        )
        self.run = Path(f"/proc/{self.process.pid}/root/run/efsprov")
        self.wait_for(self.run / "lease")

    def wait_for(self, path: Path) -> str:
        until = time.monotonic() + 60
        while not (path.exists() and (path.read_text() or path.name == "lease")):
            assert time.monotonic() < until, f"{path} never came"
            time.sleep(0.02)
        return path.read_text()

    @property
    def looks(self) -> int:
        """How often it has looked: the CPU time of a shell's children is of no use, so its sleeps are counted."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def timer(tmp_path):
    require_namespaces()
    made = []

    def start(*numbers: int) -> Timer:
        made.append(Timer(tmp_path, *numbers))
        return made[-1]

    yield start
    for one in made:
        one.end()


def test_nobody_asking_for_long_powers_it_off(timer):
    running = timer(3600, 1, 1)
    assert running.wait_for(running.run / "systemctl").strip() == "poweroff --force"
    assert "nobody has asked for this builder" in (running.run / "off").read_text()


def test_the_time_being_up_powers_it_off_whatever_the_lease_says(timer):
    running = timer(2, 3600, 1)
    (running.run / "lease").write_text("keep")
    assert running.wait_for(running.run / "systemctl").strip() == "poweroff --force"
    assert "time of this builder is up" in (running.run / "off").read_text()


@pytest.mark.parametrize("how", ["renewed", "kept"])
def test_a_lease_that_is_renewed_or_kept_holds(timer, how):
    running = timer(3600, 3, 1)
    sleeps = set()
    if how == "kept":
        (running.run / "lease").write_text("keep")
    while len(sleeps) < 7:  # each look begins a new sleep of a second: more of them than the lease has patience
        sleeps.add(running.looks)
        if how == "renewed":
            os.utime(running.run / "lease")
        time.sleep(0.05)
    assert not (running.run / "systemctl").exists()


def test_a_clock_that_jumps_does_not_end_it(timer):
    running = timer(3600, 3, 1)
    sleeps, when = set(), 0
    while len(sleeps) < 7:
        sleeps.add(running.looks)
        when += 1
        os.utime(running.run / "lease", (when, when))  # the lease's time is decades old, but it changes
        time.sleep(0.05)
    assert not (running.run / "systemctl").exists()


def test_the_lease_may_be_renewed_by_any_user(timer):
    running = timer(3600, 3600, 1)
    deadline = time.monotonic() + 30
    while (running.run / "lease").stat().st_mode & 0o777 != 0o666:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_python_finds_the_files_in_the_package():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlib.resources import files; print(*sorted(p.name for p in (files('efsprov.builders.ec2') / 'cloud_init').iterdir()))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["deadman.sh", "prepare.sh", "rekey.sh", "user-data.yaml"]
