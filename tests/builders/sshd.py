"""A real SSH server on the loopback interface, run by whoever runs the tests, with folders of its own for what it is told to keep."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from devtools.nfs_lab.link import Forward

CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
LogLevel VERBOSE
MaxStartups 100
SetEnv {environment}
"""


def generate_key(path: Path) -> str:
    """Make an ed25519 key pair without a passphrase; returns the public key's line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip() if path.suffix else Path(f"{path}.pub").read_text().strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class LocalSshd:
    """The server. ``port`` leads to it through a forwarder that can cut connections; a context manager."""

    def __init__(self, folder: Path, *, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        self.user = getpass.getuser()
        self.host_key = generate_key(folder / "host_key")
        self.client_key = folder / "client_key"
        (folder / "authorized_keys").write_text(generate_key(self.client_key) + "\n")
        self.state, self.cache = folder / "state", folder / "cache"
        variables = {
            "PATH": os.environ["PATH"],
            "XDG_STATE_HOME": str(self.state),
            "XDG_CACHE_HOME": str(self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        }
        self._port = free_port()
        (folder / "sshd_config").write_text(
            CONFIGURATION.format(
                port=self._port,
                folder=folder,
                environment=" ".join(f'"{name}={value}"' for name, value in variables.items()),
            )
        )
        self._log = (folder / "sshd.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._forward: Forward | None = None

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # Debian's folder for privilege separation
        self._process = subprocess.Popen(
            [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        until = time.monotonic() + 20
        while True:
            try:
                self._connect().close()
                break
            except OSError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < until, self.log
                time.sleep(0.02)
        self._forward = Forward(socket.create_server(("127.0.0.1", 0)), self._connect)
        return self

    def __exit__(self, *_: object) -> None:
        if self._forward is not None:
            self._forward.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._log.close()

    @property
    def port(self) -> int:
        assert self._forward is not None
        return self._forward.port

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()

    def cut(self) -> int:
        """Reset all connections; sshd and what it started go on."""
        assert self._forward is not None
        return self._forward.cut()

    def known_hosts(self, *, key: str | None = None) -> Path:
        file = self.folder / "known_hosts"
        file.write_text(f"[127.0.0.1]:{self.port} {key or self.host_key}\n")
        return file

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=10)
