"""Pretended EC2 instances: namespaces of this machine, with a real sshd on a loopback address of their own."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devtools.strict_aws.double import StrictAws
from tests.builders.sshd import free_port

INIT = Path(__file__).with_name("instance_init.py")
REPOSITORY = Path(__file__).parents[2]


def require_namespaces() -> None:
    """Skip, or fail with CI=true, where no namespaces can be made."""
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        message = f"an instance needs mount and process namespaces: {tried.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def boot_command(configuration: Path) -> list[str]:
    """What starts an instance that is given ``configuration``, in namespaces that end with it."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable, str(INIT), str(configuration)]


@dataclass
class Instance:
    """One pretended instance; see ``devtools.strict_aws.ec2.Machine``."""

    folder: Path
    process: subprocess.Popen[bytes]
    address: str
    killed: bool = False
    fate: str = ""

    def reason_it_died(self) -> str | None:
        if self.fate == "Server.InsufficientInstanceCapacity":
            return f"{self.fate}: Insufficient capacity to satisfy instance request"
        if self.process.poll() is None:
            return None
        return (
            "Client.UserInitiatedShutdown: User initiated shutdown"
            if self.killed
            else "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
        )

    def console(self) -> str:
        return (self.folder / "console").read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.killed = True
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def path(self, inside: str) -> Path:
        """A path of the instance, seen from outside; only while it runs."""
        return Path(f"/proc/{self.init}/root{inside}")

    def cut(self) -> int:
        """Kill the processes that serve SSH connections; the server and what it started go on. How many there were."""
        inside = Path(f"/proc/{self.init}/ns/pid").readlink()
        served = 0
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == inside:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
                    if words.startswith(b"sshd: ") and b"[listener]" not in words:
                        os.kill(int(entry.name), signal.SIGKILL)
                        served += 1
        return served

    @property
    def init(self) -> str:
        """The id of the instance's process 1, seen from outside."""
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]

    @property
    def notes(self) -> list[str]:
        """What the programs that only note were asked."""
        return self.path("/run/notes").read_text().splitlines()


def configure(
    aws: StrictAws,
    parameters: dict[str, str],
    settings: dict[str, Any],
    *,
    address: str,
    port: int,
    file_system: str,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """What instance_init is told: the user-data and the key that were really sent, and what stands for EC2's world."""
    imported = [s for s in aws.named("ec2:ImportKeyPair") if s.parameters["KeyName"] == parameters["KeyName"]][-1]
    return {
        "user_data": _changed(base64.b64decode(parameters["UserData"]).decode(), settings.pop("user_data_changes", {})),
        "authorized_key": base64.b64decode(imported.parameters["PublicKeyMaterial"]).decode(),
        "address": address,
        "port": port,
        "file_system": file_system,
        "sshd": shutil.which("sshd") or "/usr/sbin/sshd",
        "environment": {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(REPOSITORY),
            "XDG_STATE_HOME": "/run/state",
            "XDG_CACHE_HOME": "/run/cache",  # another file system than the one that is mounted, as on EC2
            **environment,
        },
        **settings,
    }


@dataclass
class Instances:
    """Makes the instances that a fake EC2 launches."""

    folder: Path
    aws: StrictAws
    port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    fates: list[dict[str, Any]] = field(default_factory=list)
    made: list[Instance] = field(default_factory=list)

    @property
    def file_system(self) -> Path:
        """What stands for the file system."""
        place = self.folder / "efs"
        place.mkdir(exist_ok=True)
        return place

    def launch(self, identifier: str, parameters: dict[str, str]) -> Instance:
        """Boot an instance with the user-data, and the key pair, that were really sent."""
        settings = dict(self.fates.pop(0)) if self.fates else {}
        folder = self.folder / identifier
        folder.mkdir()
        address = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(254) + 1}.{secrets.randbelow(254) + 1}"
        configuration = configure(
            self.aws,
            parameters,
            settings,
            address=address,
            port=self.port,
            file_system=str(self.file_system),
            environment=self.environment,
        )
        (folder / "configuration.json").write_text(json.dumps(configuration))
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                boot_command(folder / "configuration.json"),
                stdin=subprocess.PIPE,  # it ends when this end is closed: with the tests, however they end
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )
        instance = Instance(folder, process, address, fate=settings.get("fate", ""))
        self.made.append(instance)
        return instance


def _changed(user_data: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in user_data
        user_data = user_data.replace(old, new)
    return user_data
