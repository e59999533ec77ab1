"""What the steps of a launch share: what was asked, what was found, what was made so far."""

import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from efsprov.aws.compute import Instance
from efsprov.aws.session import Aws
from efsprov.builders.ec2.clean_up import CleanUp
from efsprov.builders.ec2.keypair import KeyPair
from efsprov.builders.ec2.placement import Candidate
from efsprov.builders.ec2.preflight import Site
from efsprov.builders.ec2.run_record import Attempt, RunRecord
from efsprov.builders.ec2.settings import CompleteSettings
from efsprov.builders.ssh.destination import SshTarget
from efsprov.core.errors import BuilderError
from efsprov.core.tags import resource_name, run_tags
from efsprov.core.target import Target


@dataclass(frozen=True)
class Timeouts:
    """How long each wait may last, in seconds, and the longest pause between two looks."""

    boot: float = 420
    prepare: float = 900
    terminate: float = 300
    inspect: float = 5


@dataclass
class Launch:
    """One launch. Both keys are made here and live in memory."""

    aws: Aws
    settings: CompleteSettings
    target: Target
    root: str
    site: Site
    record: RunRecord
    undo: CleanUp
    tell: Callable[[str], None]
    timeouts: Timeouts = field(default_factory=Timeouts)
    login: KeyPair = field(default_factory=KeyPair.generate, repr=False)
    host_key: KeyPair = field(default_factory=KeyPair.generate, repr=False)
    trusted_key: str = ""
    seen: Instance | None = None

    def __post_init__(self) -> None:
        self.trusted_key = self.trusted_key or self.host_key.public

    @property
    def name(self) -> str:
        """The name of the run's resources."""
        return resource_name(self.record.run)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the run's resources."""
        return run_tags(self.record.run, expires=self.record.expires, extra=self.settings.tags)

    @property
    def instance(self) -> Instance:
        """The instance as it was seen last."""
        if self.seen is None:
            raise BuilderError("The instance was not launched yet.")
        return self.seen

    @property
    def ssh(self) -> SshTarget:
        """How to reach the instance, by the key that it is known to have."""
        instance, port = self.instance, self.settings.ssh_port
        address = instance.public_address if self.settings.connect == "public" else instance.private_address
        proxy = self._proxy(instance.id, port)
        return SshTarget(
            host=instance.id if proxy else address,
            user=self.settings.user,
            port=port,
            host_key=self.trusted_key,
            private_key=self.login.private,
            proxy_command=proxy,
        )

    def attempt_in(self, place: Candidate) -> Attempt:
        """Return the attempt, with its client token, for an instance in a place: on disk before the request is sent."""
        for attempt in self.record.attempts:
            if (attempt.instance_type, attempt.subnet) == (place.instance_type, place.subnet):
                return attempt
        attempt = Attempt(token=secrets.token_hex(16), instance_type=place.instance_type, subnet=place.subnet)
        self.record.attempts.append(attempt)
        self.record.save()
        return attempt

    def _proxy(self, instance: str, port: int) -> str:
        session = ["ssm", "start-session", "--target", instance, "--document-name", "AWS-StartSSHSession"]
        tunnel = ["ec2-instance-connect", "open-tunnel", "--instance-id", instance, "--remote-port", str(port)]
        ways = {"ssm": [*session, "--parameters", f"portNumber={port}"], "endpoint": tunnel}
        if self.settings.connect not in ways:
            return ""
        profile = ["--profile", self.settings.profile] if self.settings.profile else []
        return shlex.join(["aws", *ways[self.settings.connect], "--region", self.aws.region, *profile])
