"""The NFS server on the host, as the guest sees it: it is mounted from, and cannot be harmed."""

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import NoReturn

from devtools.nfs_lab.ganesha import PORT, Ganesha
from devtools.nfs_lab.inside import links
from devtools.nfs_lab.relay import HOST_ADDRESS, SERVER_ADDRESSES

_START_SECONDS = 60.0


class HostServer:
    """What `Server` is to the agent, for a server that is another machine's business."""

    deaths = 0
    pids = ()
    pristine = True

    def __init__(self, ganesha: Ganesha) -> None:
        self._ganesha = ganesha

    def address(self, client: str) -> str:
        """Where a client reaches the server."""
        return SERVER_ADDRESSES[client]

    def boot(self) -> None:
        """It was started before the guest."""

    def link(self) -> None:
        """Let the clients reach the host through the guest."""
        links.open_link_to_host()
        links.route_clients_to_host()

    def wait_until_listening(self) -> None:
        """Return once the server accepts connections; raises OSError with its log when it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((HOST_ADDRESS, PORT), timeout=1):
                return
            time.sleep(0.02)
        raise OSError(f"the NFS server on the host does not listen; its log ends with:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines of the server's log and output."""
        return self._ganesha.log_tail()

    def start(self, environment: Mapping[str, str] | None = None) -> NoReturn:
        """Refuse."""
        self.refuse_harm()

    def kill(self) -> NoReturn:
        """Refuse."""
        self.refuse_harm()

    def reset_connections(self, peer: str) -> NoReturn:
        """Refuse."""
        self.refuse_harm()

    def refuse_harm(self) -> NoReturn:
        """Say that no fault may befall this server, or the way to it."""
        raise OSError("faults are for a server in the guest: boot Guest(server_on='guest')")
