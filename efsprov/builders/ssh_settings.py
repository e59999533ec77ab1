"""What the ssh builder needs to know from its user."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from efsprov.builders.ssh_target import SshTarget
from efsprov.core.errors import UsageError

_HOST = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>\d{1,5}))?"
)


class SshSettings(BaseModel):
    """`[ssh]` of efsprov.toml. ``host``: `[USER@]HOST[:PORT]`, HOST may be an alias of ~/.ssh/config.

    ``host_key`` pins the host's key ("ssh-ed25519 AAAA..."); without it known_hosts decides. ``python`` names the
    interpreter on the host. ``minutes`` is what a build may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = None
    host_key: str = ""
    identity: Path | None = None
    python: str | None = None
    minutes: int = Field(default=120, ge=1, le=1440)

    def anchored(self, folder: Path) -> "SshSettings":
        """Return the settings with the identity's path relative to ``folder``, that of the settings file."""
        if self.identity is None:
            return self
        return self.model_copy(update={"identity": folder / self.identity.expanduser()})

    @property
    def target(self) -> SshTarget:
        """How to reach the host; raises ``UsageError`` when none is named, or not in the form that it must have."""
        if self.host is None:
            raise UsageError(
                "No host is named to build on.", hint="--host [USER@]HOST[:PORT], or host under [ssh] in efsprov.toml."
            )
        match = _HOST.fullmatch(self.host)
        if match is None or self.host.startswith("-"):
            raise UsageError(f"{self.host!r} is not a host.", hint="A host looks like ec2-user@build.example.com:22.")
        port = int(match["port"]) if match["port"] else None
        return SshTarget(
            match["six"] or match["host"], user=match["user"], port=port, host_key=self.host_key, identity=self.identity
        )
