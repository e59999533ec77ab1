"""The guest's network: one veth pair to each client, with delay and partitions by netem."""

import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from devtools.nfs_lab.inside import syscalls
from devtools.nfs_lab.relay import GUEST_ADDRESS, MTU, PREFIX

CLIENTS = ("a", "b")
_QUEUE_PACKETS = 100_000  # netem drops what exceeds its queue, and 1 MB reads fill the default of 1,000


def server_address(client: str) -> str:
    """The address under which ``client`` sees the server."""
    return f"10.0.{CLIENTS.index(client)}.1"


def client_address(client: str) -> str:
    """The address from which ``client`` comes."""
    return f"10.0.{CLIENTS.index(client)}.2"


def namespace(client: str) -> str:
    """Path of the client's network namespace, as `nsenter --net=` takes it."""
    return f"/run/netns/{client}"


def enter(client: str) -> None:
    """Move the calling thread, and what it will start, into the client's network namespace."""
    syscalls.enter_network_namespace(namespace(client))


def command(*argv: str, stdin: str = "") -> str:
    """Run a tool of the system to its end and return its output; raises OSError with what it wrote on failure."""
    done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def in_namespace(client: str, *argv: str, stdin: str = "") -> str:
    """`command` in the client's network namespace."""
    return command("nsenter", f"--net={namespace(client)}", *argv, stdin=stdin)


@dataclass
class Links:
    """Delay and partition state of both links; each change replaces the queueing disciplines at once."""

    delay_ms: float = 0.0
    partitioned: set[str] = field(default_factory=set)
    _shaped: dict[str, list[str]] = field(default_factory=dict)  # the discipline that each device has

    def create(self) -> None:
        """Make the namespaces and the links between them and the server's."""
        Path("/run/netns").mkdir(parents=True, exist_ok=True)
        for client in CLIENTS:
            maker = threading.Thread(target=_make_namespace, args=(client,))
            maker.start()
            maker.join()
        lines = ["link set lo up"]
        for client in CLIENTS:
            lines += [
                f"link add v{client} type veth peer name p{client} netns {client}",
                f"addr add {server_address(client)}/24 dev v{client}",
                f"link set v{client} up",
            ]
        command("ip", "-batch", "-", stdin="\n".join(lines))
        for client in CLIENTS:
            lines = ["link set lo up", f"addr add {client_address(client)}/24 dev p{client}", f"link set p{client} up"]
            in_namespace(client, "ip", "-batch", "-", stdin="\n".join(lines))

    def set_delay(self, milliseconds: float) -> None:
        """Hold back every packet from the clients: each round trip takes that much longer."""
        self.delay_ms = milliseconds
        for client in CLIENTS:
            self._apply(client)

    def partition(self, client: str) -> None:
        """Lose every packet of the client in both directions; no side is told."""
        self.partitioned.add(client)
        self._apply(client)

    def heal(self, client: str) -> None:
        """Undo `partition`."""
        self.partitioned.discard(client)
        self._apply(client)

    def _apply(self, client: str) -> None:
        lost = ["loss", "100%"] if client in self.partitioned else []
        delayed = ["delay", f"{self.delay_ms}ms"] if self.delay_ms else []
        self._shape(["nsenter", f"--net={namespace(client)}"], f"p{client}", lost or delayed)
        self._shape([], f"v{client}", lost)

    def _shape(self, prefix: list[str], device: str, discipline: list[str]) -> None:
        if discipline == self._shaped.get(device, []):
            return
        if discipline:
            netem = ["netem", *discipline, "limit", str(_QUEUE_PACKETS)]
            command(*prefix, "tc", "qdisc", "replace", "dev", device, "root", *netem)
        else:
            command(*prefix, "tc", "qdisc", "del", "dev", device, "root")
        self._shaped[device] = discipline


def open_link_to_host() -> None:
    """Bring up the network card whose other end is the host's relay; nothing happens the second time."""
    address = f"{GUEST_ADDRESS}/{PREFIX}"
    if address not in command("ip", "addr", "show", "dev", "vec0"):
        command("ip", "-batch", "-", stdin=f"addr add {address} dev vec0\nlink set vec0 mtu {MTU} up")


def route_clients_to_host() -> None:
    """Let the clients reach the host through the guest, with as large packets as its network card takes."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    for client in CLIENTS:
        command("ip", "link", "set", f"v{client}", "mtu", f"{MTU}")
        lines = [f"link set p{client} mtu {MTU}", f"route add default via {server_address(client)}"]
        in_namespace(client, "ip", "-batch", "-", stdin="\n".join(lines))


def _make_namespace(client: str) -> None:
    syscalls.new_network_namespace()
    handle = namespace(client)
    os.close(os.open(handle, os.O_CREAT | os.O_RDONLY, 0o444))
    syscalls.mount(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net", handle, "none", syscalls.MS_BIND)
