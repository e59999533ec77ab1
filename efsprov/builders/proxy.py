"""Programs that carry an SSH connection, like those that ProxyCommand of ssh_config names."""

import shlex
import socket
import subprocess

from efsprov.builders.failures import ConnectionFailure


class Proxy:
    """A program that carries the connection. It gets a socket as stdin and stdout, and paramiko the socket's other end."""

    def __init__(self, command: str) -> None:
        """Start ``command``; raises ``ConnectionFailure`` when it cannot be."""
        self.socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    shlex.split(command),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                self.socket.close()
                raise ConnectionFailure(
                    "refused", f"The proxy command cannot be started: {error}.", hint=f"It is: {command}"
                ) from error

    def close(self) -> None:
        """End the program."""
        self.socket.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
