"""Runs a program that third parties wrote where it can do no harm: in a box of namespaces, where the kernel gives one.

In the box there is the system, read-only; what the caller names; an empty /tmp; no network, no other process, no
credentials. What it starts ends with it. Where the kernel gives none (in Lambda) it is a process of its own with a cleaned
environment: then the caller hands it private copies.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Final, Literal

Kind = Literal["namespaces", "process"]
SCRIPT: Final = Path(__file__).with_name("box_init.py")
_SYSTEM: Final = (
    *("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"),
    *("/etc/alternatives", "/etc/fonts", "/etc/group", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd"),
)
_NETWORK: Final = ("/etc/hosts", "/etc/resolv.conf", "/etc/ssl", "/etc/pki")
_TMP_BYTES: Final = 2 << 30
_KEPT_OUTPUT: Final = 64 << 10  # of what it prints, from the start and from the end
_PROCESSES: Final = 4096
_FILE_BYTES: Final = 8 << 30


@dataclass(frozen=True)
class BoxedCommand:
    """What to run. ``readable`` and ``writable`` files and folders keep their paths; ``seconds`` is what it may take."""

    command: tuple[str, ...]
    cwd: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 900
    network: bool = False


@dataclass(frozen=True)
class Outcome:
    """``code`` is the exit code, negative for a signal, None when the time was up; ``output`` what it printed, bounded."""

    code: int | None
    output: str
    kind: Kind


@cache
def box_kind() -> Kind:
    """Find out, once, what the kernel of this machine gives."""
    with tempfile.TemporaryDirectory(prefix="efsprov-box-") as folder:
        probe = BoxedCommand((os.path.realpath(sys.executable), "-I", "-S", "-c", ""), Path("/tmp"),  # noqa: S108
                             readable=interpreter_folders(), seconds=30)  # fmt: skip
        return "namespaces" if _in_namespaces(probe, Path(folder)) is not None else "process"


def interpreter_folders() -> tuple[Path, ...]:
    """Return the folders that the interpreter of this process needs."""
    return tuple({Path(os.path.realpath(folder)) for folder in (sys.base_prefix, sys.base_exec_prefix)})


def run_boxed(boxed: BoxedCommand, *, kind: Kind | None = None) -> Outcome:
    """Run a command to its end, or to the end of its time; nothing that it started is left then."""
    if (kind or box_kind()) == "namespaces":
        with tempfile.TemporaryDirectory(prefix="efsprov-box-") as folder:
            outcome = _in_namespaces(boxed, Path(folder))
        if outcome is not None:
            return outcome
    process = subprocess.Popen(
        boxed.command,
        cwd=boxed.cwd,
        env=boxed.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    code, output = _follow(process, boxed.seconds)
    return Outcome(code, output, "process")


def _in_namespaces(boxed: BoxedCommand, root: Path) -> Outcome | None:
    """Run it in a box whose root is mounted over the empty folder ``root``; None where there can be none."""
    system = (*_SYSTEM, *_NETWORK) if boxed.network else _SYSTEM
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    spec = {
        "root": str(root),
        "command": boxed.command,
        "cwd": str(boxed.cwd),
        "environment": dict(boxed.environment),
        "network": boxed.network,
        "system": system,
        "readable": _beside_system(boxed.readable),
        "writable": sorted({str(path) for path in boxed.writable}),
        "tmp_bytes": _TMP_BYTES,
        "limits": {"RLIMIT_DATA": memory, "RLIMIT_NPROC": _PROCESSES, "RLIMIT_FSIZE": _FILE_BYTES, "RLIMIT_CORE": 0},
    }
    with tempfile.TemporaryFile("w+") as request, tempfile.TemporaryFile("w+") as answered:
        json.dump(spec, request)
        request.seek(0)
        fds = (request.fileno(), answered.fileno())
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), *map(str, fds)],
            env={"PATH": os.environ.get("PATH", os.defpath)}
            | {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=fds,
        )
        code, output = _follow(process, boxed.seconds)
        answered.seek(0)
        what, _, value = answered.read().strip().partition(" ")
    if code is None:
        return Outcome(None, output, "namespaces")
    if what in {"exit", "signal"}:
        return Outcome(int(value) if what == "exit" else -int(value), output, "namespaces")
    return None


def _beside_system(paths: tuple[Path, ...]) -> list[str]:
    """Return the paths that are in none of the system's folders, and in none of the others."""
    found: list[str] = []
    for path in sorted({str(path) for path in paths}):
        inside = any(path == top or path.startswith(f"{top}/") for top in (*_SYSTEM, *found))
        if not inside and Path(path).exists():
            found.append(path)
    return found


def _follow(process: subprocess.Popen[bytes], seconds: float) -> tuple[int | None, str]:
    """Wait for the process and read what it prints, of which the start and the end are kept."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
    reader = _Output(process.stdout)
    try:
        code: int | None = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        with suppress(ProcessLookupError):  # what it started goes with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code, reader.text()


class _Output:
    """Reads a pipe to its end, in a thread of its own, and keeps little of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._head, self._tail, self._left_out = stream, b"", b"", 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while part := os.read(self._stream.fileno(), 1 << 16):
                room = _KEPT_OUTPUT - len(self._head)
                self._head += part[:room]
                self._tail += part[room:] if room < len(part) else b""
                self._left_out += max(0, len(self._tail) - _KEPT_OUTPUT)
                self._tail = self._tail[-_KEPT_OUTPUT:]

    def text(self) -> str:
        """Return what was kept; whoever still holds the other end of the pipe is not waited for."""
        self._thread.join(timeout=2)
        gap = f"\n... {self._left_out} bytes left out ...\n".encode() if self._left_out else b""
        if not self._thread.is_alive():
            self._stream.close()
        return (self._head + gap + self._tail).decode("utf-8", "replace")
