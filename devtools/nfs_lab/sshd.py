"""An SSH server in the guest, which the host reaches on its loopback interface."""

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import Self

from devtools.nfs_lab.errors import LabError
from devtools.nfs_lab.link import Forward, Link
from devtools.nfs_lab.programs import Process
from devtools.nfs_lab.relay import GUEST_ADDRESS

# sshd also wants an empty folder for privilege separation; Debian's is /run/sshd
FOLDER = "/run/lab-sshd"
COMMAND = ("/usr/sbin/sshd", "-D", "-e", "-f", f"{FOLDER}/sshd_config")
_PORT = 22
_START_SECONDS = 30.0
_CONFIGURATION = """
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv {environment}
"""


def configuration(environment: Mapping[str, str]) -> str:
    """sshd_config; ``environment`` is what every command over SSH finds."""
    variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
    return _CONFIGURATION.format(port=_PORT, address=GUEST_ADDRESS, folder=FOLDER, environment=variables)


class Sshd:
    """A running SSH server: log in as root or ec2-user (the same account) at 127.0.0.1, port `port`."""

    def __init__(self, process: Process, link: Link, port: int) -> None:
        self.process = process
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                link.connect(_PORT).close()
                break
            except LabError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"sshd does not answer: {error}\n{process.stderr}") from error
                time.sleep(0.05)
        self._forward = Forward(socket.create_server(("127.0.0.1", port)), lambda: link.connect(_PORT))
        self.port: int = self._forward.port

    @property
    def log(self) -> str:
        """What sshd has logged."""
        return self.process.stderr

    def cut(self) -> int:
        """Reset all connections, as a failing network does; sshd goes on. How many there were."""
        return self._forward.cut()

    def stop(self) -> None:
        """End the server and its sessions' connections; nothing happens the second time."""
        self._forward.close()
        with contextlib.suppress(LabError):  # the guest may be gone
            self.process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
