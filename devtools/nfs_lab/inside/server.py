"""NFS-Ganesha over the exported file system."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from devtools.nfs_lab.ganesha import PORT, Ganesha
from devtools.nfs_lab.inside import links, syscalls

EXPORT = "/mnt/export"
_START_SECONDS = 60.0
_RESPAWN_PAUSE = 0.1
_RESPAWNS = 2


class Server:
    """The server's process; one that dies by itself (an injected fault) is started again without the fault."""

    def __init__(self, lease_seconds: int) -> None:
        self._lease_seconds = lease_seconds
        self._ganesha = Ganesha(Path("/run"), Path(EXPORT))
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._change = threading.RLock()
        self._altered = False
        self.deaths = 0

    @property
    def pristine(self) -> bool:
        """Whether the server runs, and without a fault."""
        return self._process is not None and self._process.poll() is None and not self._altered

    @property
    def pids(self) -> tuple[int, ...]:
        """Its process, if it has one."""
        return () if self._process is None else (self._process.pid,)

    def address(self, client: str) -> str:
        """Where a client reaches the server."""
        return links.server_address(client)

    def boot(self) -> None:
        """Start it for the first time, without waiting."""
        Path("/run/ganesha").mkdir(exist_ok=True)
        self._ganesha.configure(self._lease_seconds)
        self.start(wait=False)

    def link(self) -> None:
        """The clients reach it by the links that they have."""

    def refuse_harm(self) -> None:
        """Faults are what it is there for."""

    def start(self, environment: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        """Start the server, with variables added to its environment; raises OSError when it does not listen in time."""
        with self._change:
            if self._process is not None and self._process.poll() is None:
                raise OSError("the NFS server is running already")
            self._wanted = True
            self._altered = bool(environment)
            with self._ganesha.output.open("ab") as output:
                self._process = subprocess.Popen(
                    self._ganesha.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,
                )
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        if wait:
            self.wait_until_listening()

    def wait_until_listening(self) -> None:
        """Return once the server accepts connections; raises OSError with its log when it does not."""
        deadline, deaths = time.monotonic() + _START_SECONDS, self.deaths
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
                return
            # A fault may strike at once, by what clients were waiting to send: then it is started again without it.
            given_up = not self._wanted or self.deaths - deaths > _RESPAWNS
            if given_up and (self._process is None or self._process.poll() is not None):
                break
            time.sleep(0.02)
        raise OSError(f"the NFS server does not listen; its log ends with:\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL, and leave it dead until `start`."""
        with self._change:
            self._wanted = False
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def reset_connections(self, peer: str) -> int:
        """Reset the connections from the address ``peer``, the server itself unharmed; how many there were."""
        if self._process is None or self._process.poll() is not None:
            return 0
        pid = self._process.pid
        return sum(_reset(pid, int(entry.name), peer) for entry in Path(f"/proc/{pid}/fd").iterdir())

    def log_tail(self) -> str:
        """The last lines of the server's log and output."""
        return self._ganesha.log_tail()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        with self._change:
            died_by_itself = self._wanted and process is self._process
            if died_by_itself:
                self.deaths += 1
                time.sleep(_RESPAWN_PAUSE)
                self.start(wait=False)


def _reset(pid: int, descriptor: int, peer: str) -> int:
    try:
        if not Path(f"/proc/{pid}/fd/{descriptor}").is_socket():
            return 0
        borrowed = syscalls.borrow_descriptor(pid, descriptor)
    except (FileNotFoundError, ProcessLookupError):  # closed meanwhile
        return 0
    with socket.socket(fileno=borrowed) as connection:
        if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.type != socket.SOCK_STREAM:
            return 0
        try:
            address = connection.getpeername()[0]
        except OSError:  # it listens
            return 0
        if address.removeprefix("::ffff:") != peer:
            return 0
        syscalls.reset_connection(borrowed)
        return 1
