"""What the ssh builder needs to know from its user."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from efsprov.builders.ssh.destination import SshTarget
from efsprov.core.command_words import check_host, check_remote_path
from efsprov.core.errors import UsageError
from efsprov.core.frozen import Exact

_HOST = re.compile(r"(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^@\[\]]+)\]|(?P<host>[^@:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


class SshSettings(Exact):
    """`[ssh]` of efsprov.toml. ``host``: `[USER@]HOST[:PORT]`, HOST may be an alias of ~/.ssh/config.

    ``host_key`` pins the host's key ("ssh-ed25519 AAAA..."); without it known_hosts decides. ``python`` names the
    interpreter on the host. ``minutes`` is what a build may take.
    """

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

    @field_validator("python")
    @classmethod
    def _python_is_a_path(cls, python: str | None) -> str | None:
        return None if python is None else check_remote_path(python, what="an interpreter on the host")

    @property
    def target(self) -> SshTarget:
        """How to reach the host; raises ``UsageError`` when none is named, or not in the form that it must have."""
        if self.host is None:
            raise UsageError(
                "No host is named to build on.", hint="--host [USER@]HOST[:PORT], or host under [ssh] in efsprov.toml."
            )
        match = _HOST.fullmatch(self.host)
        if match is None:
            check_host(self.host)  # an IPv6 address needs no brackets without a port
        host = (match["six"] or match["host"]) if match else self.host
        user = match["user"] if match else None
        port = int(match["port"]) if match and match["port"] else None
        return SshTarget(host, user=user, port=port, host_key=self.host_key, identity=self.identity).checked()
