"""Programs that carry an SSH connection, like those that ProxyCommand of ssh_config names."""

import contextlib
import os
import shlex
import socket
import subprocess
import tempfile
from typing import Final

from efsprov.builders.failures import ConnectionFailure

_TAIL: Final = 2000  # bytes of its stderr that are shown
_END_SECONDS: Final = 2.0


class Proxy:
    """A program that carries the connection. It gets a socket as stdin and stdout, and paramiko the socket's other end.

    What it prints to stderr goes to a file that has no name, and is shown when the connection fails.
    """

    def __init__(self, command: str) -> None:
        """Start ``command``; raises ``ConnectionFailure`` when it cannot be."""
        self.socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it; a pipe that nobody reads would fill
        with theirs:
            try:
                self._process = subprocess.Popen(
                    shlex.split(command),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._stderr,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                self.socket.close()
                self._stderr.close()
                raise ConnectionFailure(
                    "refused", f"The proxy command cannot be started: {error}.", hint=f"It is: {command}"
                ) from error

    def explain(self, failure: ConnectionFailure) -> ConnectionFailure:
        """Return ``failure`` with what the program said, if it has ended: the connection did not fail by itself then.

        The kind is "proxy" for a program that ended, since what it says decides whether trying again makes sense.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        said, code = self._said(), self._process.poll()
        if failure.kind != "lost" or (code is None and not said):
            return failure
        ended = "is still running" if code is None else f"ended with code {code}"
        return ConnectionFailure(
            "lost" if code is None else "proxy",
            f"{failure.message} The proxy command {ended} and said: {said or 'nothing'}",
            hint=failure.hint,
        )

    def close(self) -> None:
        """End the program."""
        self.socket.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _said(self) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        # pread: the offset of the file is the program's, too
        text = os.pread(self._stderr.fileno(), _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace")
        return "\n".join(line for line in map(str.strip, text.splitlines()) if line)
