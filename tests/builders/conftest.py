import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from efsprov.builders.ssh.builder import SshBuilder
from efsprov.builders.ssh.destination import SshTarget
from efsprov.core.build import BuildRequest
from tests.builders.commands import wheels
from tests.builders.sshd import LocalSshd

__all__ = ["wheels"]

LOCK = """lock-version = "1.0"
created-by = "efsprov"

[[packages]]
name = "tiny"
version = "1.0"
wheels = [
    {name = "tiny-1.0-py3-none-any.whl", url = "https://example.com/tiny-1.0-py3-none-any.whl", hashes = {sha256 = "%s"}},
]
"""


@dataclass(frozen=True)
class StandIn:
    """The stand-in build, which needs no installing: the host is this machine."""

    def install(self, host, request, emit):
        return (sys.executable, "-m", "tests.builders.standin")


@pytest.fixture(scope="module")
def module_sshd(tmp_path_factory) -> Iterator[LocalSshd]:
    repository = Path(__file__).parents[2]
    with LocalSshd(tmp_path_factory.mktemp("sshd"), environment={"PYTHONPATH": str(repository)}) as server:
        yield server


@pytest.fixture
def sshd(module_sshd: LocalSshd) -> LocalSshd:
    return module_sshd


@pytest.fixture
def target(sshd: LocalSshd) -> SshTarget:
    return SshTarget("127.0.0.1", user=sshd.user, port=sshd.port, host_key=sshd.host_key, identity=sshd.client_key)


@pytest.fixture
def make_request(tmp_path: Path) -> Callable[..., BuildRequest]:
    def make(*notes: str, **settings) -> BuildRequest:
        values = {
            "run": secrets.token_hex(8),
            "root": str(tmp_path / "root"),
            "channel": "tiny",
            "target": "python3.11-x86_64",
            "requirements": ("tiny",),
            "lock": LOCK % ("0" * 64),
            "builder": "ssh",
            "notes": notes,
        }
        return BuildRequest(**{**values, **settings})

    return make


@pytest.fixture
def builder(target: SshTarget) -> SshBuilder:
    return SshBuilder(target, StandIn())
