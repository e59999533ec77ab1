"""The whole thing: `sync --builder ec2` on a pretended instance that has a real NFSv4.1 mount; another client imports."""

import json
import os
import sys
from pathlib import Path

import pytest

from devtools.nfs_lab.fixtures import nfs_guest, shared_guest
from devtools.nfs_lab.guest import Guest
from devtools.strict_aws.double import StrictAws
from tests.builders.commands import REPOSITORY, efsprov
from tests.builders.ec2.conftest import Cloud, make_cloud
from tests.builders.ec2.test_command_line import flags, settings_file
from tests.builders.instance import Instances, boot_command, configure

__all__ = ["nfs_guest", "shared_guest"]
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
HANDLER = """
import efsprov.bootstrap
import tiny

def handle(event, context):
    return tiny.__version__, tiny.__file__
"""


class GuestMachine:
    """An instance in the lab's guest: namespaces there, the NFS mount of client a as the file system."""

    def __init__(self, guest: Guest, aws: StrictAws, parameters: dict[str, str], *, port: int, folder: Path) -> None:
        settings = configure(
            aws,
            parameters,
            {},
            address="0.0.0.0",
            port=22,
            file_system="/mnt/a",
            environment={"HOME": "/run"},  # the lab's link leads to 22
        )
        (folder / "configuration.json").write_text(json.dumps(settings))
        self.sshd = guest.start_ssh_program(boot_command(folder / "configuration.json"), port)
        self.address = "127.0.0.1"

    def reason_it_died(self) -> str | None:
        return (
            None
            if self.sshd.process.poll() is None
            else "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
        )

    def console(self) -> str:
        return self.sshd.process.stdout

    def kill(self) -> None:
        self.sshd.stop()


@pytest.fixture
def cloud(tmp_path: Path, nfs_guest: Guest):
    with StrictAws() as aws:
        (tmp_path / "instances").mkdir()
        instances = Instances(tmp_path / "instances", aws)
        aws.ec2.launch_machine = lambda identifier, parameters: GuestMachine(
            nfs_guest, aws, parameters, port=instances.port, folder=tmp_path / "instances"
        )
        yield make_cloud(aws, instances)


def test_a_release_is_built_on_nfs_and_imported_by_another_client(cloud: Cloud, nfs_guest: Guest, wheels, tmp_path):
    settings_file(cloud, tmp_path)
    done = efsprov(tmp_path, wheels, "sync", "-f", "tiny==1.0", "--json", *flags(cloud), **cloud.aws.environment)
    assert done.returncode == 0, (
        done.stdout + done.stderr + "\n".join(m.console() for m in cloud.aws.ec2.machines.values())
    )
    result = json.loads(done.stdout)["result"]
    assert result["outcome"] == "published"
    assert nfs_guest.rpcs("a").ops["WRITE"] > 0, "it went over the wire"
    (tmp_path / "handler.py").write_text(HANDLER)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import handler; print(*handler.handle({}, None))"
    imported = nfs_guest.run(
        "b",
        [sys.executable, "-c", code, tmp_path],
        env={
            "PYTHONPATH": str(REPOSITORY),
            "EFSPROV_ROOT": "/mnt/b",
            "EFSPROV_CHANNEL": "tiny",
            "PATH": os.environ["PATH"],
        },
        check=True,
    )
    assert imported.stdout.startswith("1.0 /mnt/b/deps/tiny/")
    assert cloud.left() == []
