"""A process in a network namespace of its own, which shares a link with the guest and hands out sockets on it.

The guest's network card exchanges its frames with this process over a socket pair, and this process with a tap device: so
the link is on no interface of the host, and two guests' addresses cannot collide. `Link` holds the other end.
Usage: ``relay CONTROL_DESCRIPTOR FRAMES_DESCRIPTOR``.
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading

HOST_ADDRESS, GUEST_ADDRESS, PREFIX = "10.0.9.1", "10.0.9.2", 24
MESSAGE_BYTES = 4096
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_FRAME_BYTES = 1 << 16
_CONNECT_SECONDS = 10


def _create_tap() -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", b"tap0", _IFF_TAP | _IFF_NO_PI))
    lines = ["link set lo up", f"addr add {HOST_ADDRESS}/{PREFIX} dev tap0", "link set tap0 up"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True)
    return tap


def _to_tap(frames: socket.socket, tap: int) -> None:
    while frame := frames.recv(_FRAME_BYTES):
        os.write(tap, frame)


def _from_tap(tap: int, frames: socket.socket) -> None:
    while True:
        frames.send(os.read(tap, _FRAME_BYTES))


def _serve(control: socket.socket) -> None:
    """Answer "connect" (to a port of the guest) and "listen" (for the guest) with a socket, until the host is gone."""
    while message := control.recv(MESSAGE_BYTES):
        request = json.loads(message)
        try:
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
    _serve(control)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
