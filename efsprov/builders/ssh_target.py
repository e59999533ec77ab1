"""How a host is reached over SSH, as data."""

from dataclasses import dataclass, field
from pathlib import Path


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
