"""A private root directory and process tree for one execution environment, made of Linux namespaces.

As in Lambda, ``/`` and the function's code are read-only, ``/tmp`` has a size, and what is not part of the runtime, of the
function, of its layers or of its file system is not there at all: no project, no virtual environment, no home.
"""

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("sandbox_init.py")
DEVICES = ("null", "zero", "full", "random", "urandom")


class SandboxUnavailableError(RuntimeError):
    """This machine lets us make no mount or process namespaces; the message is the kernel's."""


@dataclass(frozen=True)
class Bind:
    """``source`` of this machine seen at ``target`` (absolute) in the sandbox."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class Tmpfs:
    """An empty writable directory at ``target`` that holds at most ``size`` bytes."""

    target: str
    size: int


Entry = Bind | Tmpfs


def system_entries() -> list[dict[str, Any]]:
    """The machine's own libraries and settings, read-only; of /dev what Lambda has, which has no /dev/shm and no /sys."""
    entries: list[dict[str, Any]] = []
    for path in map(Path, ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")):
        if path.is_symlink():
            entries.append({"kind": "symlink", "source": str(path.readlink()), "target": str(path)})
        elif path.is_dir():
            entries.append(_bind(path, str(path), read_only=True))
    resolver = Path("/etc/resolv.conf").resolve()
    if resolver.is_file() and not resolver.is_relative_to("/etc"):
        entries.append(_bind(resolver, str(resolver), read_only=True))
    entries.append({"kind": "proc", "target": "/proc"})
    entries.extend(_bind(Path("/dev") / name, f"/dev/{name}", read_only=False) for name in DEVICES)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        entries.append({"kind": "symlink", "source": f"/proc/self/fd{target}", "target": f"/dev/{name}"})
    return entries


def _bind(source: Path, target: str, *, read_only: bool) -> dict[str, Any]:
    return {"kind": "bind", "source": str(source), "target": target, "read_only": read_only}


def _entry(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Tmpfs):
        return {"kind": "tmpfs", "target": entry.target, "size": entry.size}
    return _bind(entry.source.resolve(strict=True), entry.target, read_only=entry.read_only)


class Sandbox:
    """Holds the namespaces from construction to ``close``; at most one runtime process at a time runs in them.

    ``logs`` is what the runtime has for stdout and stderr. ``on_exit`` is called with the exit code (negative: the signal)
    when the runtime ends by itself, from another thread.

    Raises SandboxUnavailableError where namespaces cannot be had.
    """

    def __init__(self, entries: Sequence[Entry], *, logs: int, on_exit: Callable[[int], None]) -> None:
        self._on_exit = on_exit
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._turn = threading.Lock()
        with contextlib.ExitStack() as undo:
            root = undo.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-"))
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", str(SCRIPT), str(theirs.fileno()), str(logs)],
                    stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), logs), env={}, cwd="/", start_new_session=True,
                )  # fmt: skip
            undo.callback(self._process.wait)
            undo.callback(self._control.shutdown, socket.SHUT_RDWR)
            self._send({"root": root, "entries": [*system_entries(), *map(_entry, entries)]})
            first = json.loads(self._control.recv(1 << 20) or '{"unavailable": "the sandbox ended at once"}')
            if "unavailable" in first:
                raise SandboxUnavailableError(first["unavailable"])
            self._listener = threading.Thread(target=self._listen, name="sandbox-listener", daemon=True)
            self._listener.start()
            self._undo = undo.pop_all()

    def start(
        self, argv: Sequence[str], *, environ: Mapping[str, str], directory: str, limits: Mapping[str, int]
    ) -> None:
        """Start the runtime. ``limits`` are names of ``resource`` with their values."""
        self._ask(do="start", argv=list(argv), environ=dict(environ), directory=directory, limits=dict(limits))

    def freeze(self) -> None:
        """Stop every process of the sandbox where it stands."""
        self._ask(do="freeze")

    def thaw(self) -> None:
        """Undo ``freeze``."""
        self._ask(do="thaw")

    def kill(self) -> None:
        """SIGKILL to every process of the sandbox; returns when none is left. ``on_exit`` is not called."""
        self._ask(do="kill")

    def peak_memory(self) -> int:
        """Peak resident set of the processes that are alive, in bytes."""
        return int(self._ask(do="peak")) * 1024

    def close(self) -> None:
        """End every process, give back the mounts; idempotent."""
        self._undo.close()
        self._listener.join()

    def _send(self, document: Mapping[str, Any]) -> None:
        self._control.send(json.dumps(document).encode())

    def _ask(self, **command: Any) -> Any:
        with self._turn:
            try:
                self._send(command)
            except OSError as error:  # closed on our side
                raise BrokenPipeError("the sandbox is gone") from error
            reply = self._replies.get()
        if isinstance(reply, BrokenPipeError):
            raise reply
        return reply

    def _listen(self) -> None:
        while message := self._receive():
            document = json.loads(message)
            if "exited" in document:
                self._on_exit(document["exited"])
            else:
                self._replies.put(document["reply"])
        self._replies.put(BrokenPipeError("the sandbox is gone"))

    def _receive(self) -> bytes:
        try:
            return self._control.recv(1 << 20)
        except OSError:  # closed on our side
            return b""


def unavailable() -> str | None:
    """Why no sandbox can be made on this machine, or None."""
    with Path(os.devnull).open("wb") as logs:
        try:
            Sandbox([], logs=logs.fileno(), on_exit=lambda _: None).close()
        except SandboxUnavailableError as error:
            return str(error)
    return None
