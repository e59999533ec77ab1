"""How a host is reached over SSH, as data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from efsprov.core.command_words import check_host, check_user
from efsprov.core.errors import UsageError


@dataclass(frozen=True)
class SshTarget:
    """How to reach a host. ``host`` may be an alias of ~/.ssh/config, which counts with its proxies.

    ``host_key`` pins the key ("ssh-ed25519 AAAA..."); without it known_hosts decides. ``private_key`` is OpenSSH's
    text of a key that is on no disk; without it keys are those of the agent, of ``identity`` and of ~/.ssh.
    """

    host: str
    user: str | None = None
    port: int | None = None
    host_key: str = ""
    known_hosts: tuple[Path, ...] = ()
    identity: Path | None = None
    private_key: str = field(default="", repr=False)
    proxy_command: str = ""
    connect_seconds: int = 15

    def checked(self) -> Self:
        """Return this target; raises ``UsageError`` where a command of ssh_config must not see its host, user or port."""
        check_host(self.host)
        if self.user is not None:
            check_user(self.user)
        if self.port is not None and not 1 <= self.port <= 65535:
            raise UsageError(f"{self.port} is not a port.", hint="A port is 1 to 65535; SSH's own is 22.")
        return self
