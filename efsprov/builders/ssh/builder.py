"""The ssh builder: the pipeline runs on a host that has the root mounted."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from efsprov.builders import installation
from efsprov.builders.remote import wire
from efsprov.builders.remote.work import StartMessage
from efsprov.builders.ssh.destination import SshTarget
from efsprov.builders.ssh.follow import Follower
from efsprov.builders.ssh.host import Host
from efsprov.builders.ssh.local_files import bring_local_files
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import BuilderError
from efsprov.core.events import Emit, Event
from efsprov.core.target import Target
from efsprov.pipeline.tools.installer_settings import LOGINS, InstallerSettings

# What a user has set about indexes counts on the host, too. Proxies, certificates and folders are this machine's own.
_TAKEN_ALONG: Final = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_NO_INDEX",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    LOGINS,
)


class Program(Protocol):
    """What the host runs."""

    def install(self, host: Host, request: BuildRequest, emit: Emit) -> Sequence[str]:
        """Bring it to the host and return the command that starts its remote side."""
        ...


@dataclass(frozen=True)
class Efsprov:
    """efsprov itself, as it runs here; ``python`` names the interpreter on the host."""

    settings: InstallerSettings = field(repr=False)
    python: str | None = None

    def install(self, host: Host, request: BuildRequest, emit: Emit) -> Sequence[str]:
        """Make efsprov's environment on the host; see ``installation.install``."""
        emit(Event(step="launch", state="progress", message=f"bringing efsprov to {host.target.host}"))
        return installation.install(host, Target.parse(request.target), self.settings, python=self.python)


@dataclass(frozen=True)
class SshBuilder:
    """Builds on a host that is reached over SSH. ``seconds`` is what a build may take, ``lease`` see ``Follower``."""

    target: SshTarget
    program: Program
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 7200
    lease: str = ""

    def run(self, request: BuildRequest, emit: Emit) -> BuildResult:
        """Build what is asked for; see ``Builder.run``. The host keeps efsprov's environment for the next run."""
        began = time.monotonic()
        emit(Event(step="launch", state="started", message=f"connecting to {self.target.host}"))
        with Host(self.target) as host:
            return self.run_on(host, request, emit, began=began)

    def run_on(self, host: Host, request: BuildRequest, emit: Emit, *, began: float) -> BuildResult:
        """Build on a host that may be connected already; ``began`` is when, by the monotonic clock, all this did."""
        command = self.program.install(host, request, emit)
        request = bring_local_files(host, request, lease=self.lease)
        message = StartMessage(request=request, environment=self.environment, seconds=self.seconds)
        started = host.execute([*command, "start"], message.model_dump_json().encode())
        if started.code != 0:
            last = started.stdout.strip().rpartition("\n")[2]
            if last:
                wire.read_result(wire.parse(last.encode()))
            raise BuilderError(
                f"The build did not start on {host.target.host}: {started.stderr or f'exit code {started.code}'}."
            )
        ready = f"{host.target.host} is building"
        emit(Event(step="launch", state="finished", message=ready, seconds=time.monotonic() - began))
        return Follower(host, command, request.run, emit, lease=self.lease).to_the_end(seconds=self.seconds + 120)


def index_environment(settings: InstallerSettings) -> dict[str, str]:
    """Return those installer settings that hold on any machine: which index, with which credentials."""
    return {
        name: value
        for name, value in settings.environment.items()
        if name in _TAKEN_ALONG or name.startswith("UV_INDEX_")
    }
