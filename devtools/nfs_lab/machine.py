"""The User-Mode Linux process: its disk image, its life and its serial line."""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from devtools.nfs_lab.availability import tool, why_not
from devtools.nfs_lab.errors import BootError, LabError
from devtools.nfs_lab.host_server import start_server
from devtools.nfs_lab.link import Link
from devtools.nfs_lab.relay import MTU

_REPOSITORY = Path(__file__).parents[2]
_DISKS = ("export.ext4", "scratch.ext4")
_CONSOLE_LINES = 25
_PLACE_SECONDS = 3600


@dataclass(frozen=True)
class Hardware:
    """What the machine is made of: memory in megabytes, the export's and the scratch disk's size in gigabytes, the
    folder that the export starts with, and whether it is the host that exports it.
    """

    memory_mb: int = 2048
    disk_gb: int = 8
    seed: Path | None = None
    server_on_host: bool = False


class Machine:
    """A running guest; `line` is the host's end of its serial line."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket, link: Link, folder: Path) -> None:
        self._process = process
        self.link = link
        self.line = line
        self.folder = folder

    def forget_disks(self) -> None:
        """Remove the names of the disks, which the guest has open: they would outlive a host process that is killed."""
        for disk in _DISKS:
            (self.folder / disk).unlink()

    def console_tail(self) -> str:
        """The last lines of the guest's console."""
        text = (self.folder / "console.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-_CONSOLE_LINES:])

    def kill(self) -> None:
        """End the machine and everything that belongs to it, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.line.close()

    def wait(self, seconds: float) -> bool:
        """Whether the machine ended by itself within the time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None


@contextlib.contextmanager
def machine(hardware: Hardware, config: Mapping[str, Any]) -> Iterator[Machine]:
    """Start a machine whose process 1 is the lab's agent; on the way out it and its files are gone.

    Raises BootError where the lab cannot run or the disk cannot be made.
    """
    if reason := why_not():
        raise BootError(reason)
    if hardware.seed is not None and not hardware.seed.is_dir():
        raise BootError(f"the export is to start with {hardware.seed}, which is not a folder")
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(_one_at_a_time())
        folder = Path(tempfile.mkdtemp(prefix="efsprov-lab-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "jobs").mkdir()
        (folder / "results").mkdir()
        server = folder / "server" if hardware.server_on_host else None
        config_path = folder / "config.json"
        config_path.write_text(json.dumps({**config, "server_folder": server and str(server)}), encoding="utf-8")
        _write_init(folder / "init", config_path)
        for disk, seed in zip(_DISKS, (hardware.seed, None), strict=True):
            _make_disk(folder / disk, hardware.disk_gb, seed)
        link = Link()
        cleanup.callback(link.close)
        if server is not None:
            start_server(link, server, hardware.seed, config["lease_seconds"])
        ours, theirs = socket.socketpair()
        cleanup.callback(ours.close)
        with theirs, (folder / "console.log").open("wb") as console:
            process = subprocess.Popen(
                _command_line(hardware, folder, theirs.fileno(), link.frames),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), link.frames],
                start_new_session=True,  # a group of its own to kill, and out of reach of the terminal's Ctrl-C
            )
        running = Machine(process, ours, link, folder)
        cleanup.callback(running.kill)
        yield running


def _command_line(hardware: Hardware, folder: Path, serial_line: int, frames: int) -> list[str]:
    return [
        str(tool("linux.uml")),
        f"mem={hardware.memory_mb}M",
        *(f"ubd{letter}={folder / disk}" for letter, disk in zip("ab", _DISKS, strict=True)),
        f"uml_dir={folder}/uml/",
        "umid=guest",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "quiet",
        "con=null",
        "con0=fd:0,fd:1",
        "ssl=null",
        f"ssl0=fd:{serial_line}",
        f"vec0:transport=fd,fd={frames},mtu={MTU}",
        f"init={folder / 'init'}",
    ]


def _write_init(path: Path, config: Path) -> None:
    repository, python = shlex.quote(str(_REPOSITORY)), shlex.quote(sys.executable)
    path.write_text(
        "#!/bin/sh\n"
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8\n"
        f"cd {repository} && exec {python} -BESs -m devtools.nfs_lab.inside.agent {shlex.quote(str(config))}\n",
        encoding="utf-8",
    )
    path.chmod(0o755)


def _make_disk(path: Path, gigabytes: int, seed: Path | None) -> None:
    with path.open("wb") as image:
        image.truncate(gigabytes << 30)
    argv = [str(tool("mkfs.ext4")), "-q", "-F", "-O", "^has_journal", "-m", "0", "-E", "nodiscard"]
    if seed is not None:
        argv += ["-d", str(seed)]
    done = subprocess.run([*argv, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootError(f"mkfs.ext4 could not make a disk of {gigabytes} GB: {done.stderr.strip()}")


_open_here: list[int] = []


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold this machine's only place for a guest; two at once would falsify each other's times."""
    if os.getpid() in _open_here:
        raise LabError("this process has a guest already: leave its context before booting another")
    path = Path(tempfile.gettempdir()) / f"efsprov-nfs-lab-{os.getuid()}.lock"
    with path.open("a") as lock:
        _wait_for(lock)
        _open_here.append(os.getpid())
        try:
            yield
        finally:
            _open_here.remove(os.getpid())


def _wait_for(lock: IO[str]) -> None:
    deadline = time.monotonic() + _PLACE_SECONDS
    result = False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise BootError(f"another process has had a guest for {_PLACE_SECONDS} s (it holds {lock.name})")
        if not result:
            sys.stderr.write("lab: waiting for the guest of another process to end\n")
            result = True
        time.sleep(0.1)
