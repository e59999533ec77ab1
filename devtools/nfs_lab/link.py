"""The network between host and guest: TCP connections into the guest, and from it to services of the host."""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from devtools.nfs_lab.availability import tool
from devtools.nfs_lab.errors import LabError
from devtools.nfs_lab.inside.syscalls import reset_connection
from devtools.nfs_lab.relay import MESSAGE_BYTES

_REPOSITORY = Path(__file__).parents[2]
_START_SECONDS = 30.0
_END_SECONDS = 20.0  # it may be connecting to the guest
_CHUNK = 1 << 16
Connect = Callable[[], socket.socket]


class Link:
    """The host's hold on the relay; `frames` is the descriptor that the guest's network card gets."""

    def __init__(self) -> None:
        self._cleanup = contextlib.ExitStack()
        self._asking = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_START_SECONDS)
        card, relay_side = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._cleanup.callback(card.close)
        self.frames = card.fileno()
        descriptors = [theirs.fileno(), relay_side.fileno()]
        argv = [str(tool("unshare")), "--net", *(["--map-root-user"] if os.geteuid() else [])]
        argv += [sys.executable, "-BES", "-m", "devtools.nfs_lab.relay", *map(str, descriptors)]
        with theirs, relay_side:
            process = subprocess.Popen(
                argv,
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._process = process
        self._cleanup.callback(self._stop)
        self._failure: str | None = None
        self._started = False

    def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port of the guest; raises LabError."""
        return self._ask_for_socket({"request": "connect", "port": port})

    def listen(self, port: int = 0) -> socket.socket:
        """A listening socket that the guest reaches at `HOST_ADDRESS`; raises LabError."""
        return self._ask_for_socket({"request": "listen", "port": port})

    def start(self, argv: Sequence[str], output: Path) -> None:
        """Start a program that serves the guest at `HOST_ADDRESS` until the link is closed; raises LabError."""
        self._ask({"request": "start", "argv": list(argv), "output": str(output)})

    def close(self) -> None:
        """End the relay and with it the link."""
        self._cleanup.close()

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # it hears of it although somebody else may hold the descriptor
        self._control.close()
        try:
            self._process.communicate(timeout=_END_SECONDS)  # it ends what it has started
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ask_for_socket(self, request: dict[str, Any]) -> socket.socket:
        (descriptor,) = self._ask(request)
        return socket.socket(fileno=descriptor)

    def _ask(self, request: dict[str, Any]) -> list[int]:
        with self._asking:
            try:
                if not self._started:
                    self._checked(self._control.recv(MESSAGE_BYTES))
                    self._started = True
                self._control.send(json.dumps(request).encode())
                message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
                self._checked(message)
            except OSError as error:
                raise LabError(f"the relay to the guest does not answer: {error}") from error
        return descriptors

    def _checked(self, message: bytes) -> None:
        if not message:
            text = self._process.communicate()[1].decode(errors="replace")
            raise LabError(f"the link to the guest needs root or user namespaces, and /dev/net/tun: {text.strip()}")
        if error := json.loads(message).get("error"):
            raise LabError(f"the link to the guest: {error}")


class Forward:
    """Passes on the connections that a listening socket accepts; `port` is where it listens."""

    def __init__(self, listener: socket.socket, connect: Connect) -> None:
        self._listener = listener
        self._connect = connect
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._changing = threading.Lock()
        self.address, self.port = listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Reset the connections that are open now, both ends; how many there were. New ones are accepted as before."""
        with self._changing:
            pairs, self._pairs = self._pairs, []
            for end in itertools.chain.from_iterable(pairs):
                with contextlib.suppress(OSError):
                    reset_connection(end.fileno())
        return len(pairs)

    def close(self) -> None:
        """Accept no more, and cut what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                arrived, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(arrived,), daemon=True).start()

    def _carry(self, arrived: socket.socket) -> None:
        with arrived:
            try:
                onward = self._connect()
            except (LabError, OSError):
                return  # who connected sees a closed connection, as from a closed port
            pair = (arrived, onward)
            with onward:
                with self._changing:
                    self._pairs.append(pair)
                back = threading.Thread(target=_pump, args=(onward, arrived), daemon=True)
                back.start()
                _pump(arrived, onward)
                back.join()
                with self._changing, contextlib.suppress(ValueError):
                    self._pairs.remove(pair)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # one end was reset: wake the other direction's pump too
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
