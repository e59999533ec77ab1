"""A process in a network namespace of its own, which shares a link with the guest and hands out sockets on it.

The guest's network card exchanges its frames with this process over a socket pair, and this process with a tap device: so
the link is on no interface of the host, and two guests' addresses cannot collide. `Link` holds the other end.
Usage: ``relay CONTROL_DESCRIPTOR FRAMES_DESCRIPTOR``.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

HOST_ADDRESS, GUEST_ADDRESS, PREFIX = "10.0.9.1", "10.0.9.2", 24
MESSAGE_BYTES = 4096
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_CLIENTS_NETWORK = "10.0.0.0/16"
# One for each client. Both are machines of one name, and Ganesha takes what comes from one name to one address for one
# client, which has started again whenever the other speaks.
SERVER_ADDRESSES = {"a": "10.0.9.11", "b": "10.0.9.12"}
# Stands in for what a network card does for its machine: cutting 64 KB into packets (segmentation offload).
MTU = 60_000
_READ_BYTES = 1 << 16
_CONNECT_SECONDS = 10


def _create_tap() -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", b"tap0", _IFF_TAP | _IFF_NO_PI))
    lines = [
        "link set lo up",
        *(f"addr add {address}/{PREFIX} dev tap0" for address in (HOST_ADDRESS, *SERVER_ADDRESSES.values())),
        f"link set tap0 mtu {MTU} up",
        f"route add {_CLIENTS_NETWORK} via {GUEST_ADDRESS}",
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True)
    return tap


def _to_tap(frames: socket.socket, tap: int) -> None:
    while frame := frames.recv(_READ_BYTES):
        os.write(tap, frame)


def _from_tap(tap: int, frames: socket.socket) -> None:
    while True:
        frames.send(os.read(tap, _READ_BYTES))


def _serve(control: socket.socket, programs: contextlib.ExitStack) -> None:
    """Do what is asked until the host is gone.

    "connect" (to a port of the guest) and "listen" (for the guest) are answered with a socket; "start" starts a program
    in this namespace, which ends with this process.
    """
    while message := control.recv(MESSAGE_BYTES):
        request = json.loads(message)
        try:
            if request["request"] == "start":
                _start(request["argv"], request["output"], programs)
                control.send(b"{}")
                continue
            if request["request"] == "connect":
                made = socket.create_connection((GUEST_ADDRESS, request["port"]), timeout=_CONNECT_SECONDS)
                made.settimeout(None)
            else:
                made = socket.create_server((HOST_ADDRESS, request["port"]))
        except OSError as error:
            control.send(json.dumps({"error": str(error)}).encode())
            continue
        with made:
            socket.send_fds(control, [b"{}"], [made.fileno()])


def _start(argv: Sequence[str], output: str, programs: contextlib.ExitStack) -> None:
    # A /run of its own, where it finds no service of the host and leaves nothing; and it dies with this process, however
    # that ends.
    alone = ["unshare", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-ec"]
    script = 'mount -t tmpfs tmpfs /run; mkdir /run/ganesha; exec "$@"'
    with Path(output).open("ab") as file:
        process = subprocess.Popen([*alone, script, "sh", *argv], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    programs.callback(process.wait)
    programs.callback(process.kill)


def main(control_descriptor: int, frames_descriptor: int) -> None:
    """Say "{}" or what went wrong, then serve."""
    control, frames = socket.socket(fileno=control_descriptor), socket.socket(fileno=frames_descriptor)
    try:
        tap = _create_tap()
    except (OSError, subprocess.CalledProcessError) as error:
        control.send(json.dumps({"error": f"no tap device: {error}"}).encode())
        return
    for pump, ends in ((_to_tap, (frames, tap)), (_from_tap, (tap, frames))):
        threading.Thread(target=pump, args=ends, daemon=True).start()
    control.send(b"{}")
    with contextlib.ExitStack() as programs:
        _serve(control, programs)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
