"""Programs that the host asked for, each in its client's network namespace and process group."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.nfs_lab.inside import links

_KILL_SECONDS = 30.0
ExitReport = Callable[[str, int, bool], None]


@dataclass(frozen=True)
class Order:
    """One program to run: where ("a", "b" or "server"), what, and the host's files for its output."""

    job: str
    where: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    stdin: str | None
    stdout: str
    stderr: str
    limit_seconds: float | None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Order":
        """The order in the host's request."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        if fields["where"] not in {*links.CLIENTS, "server"}:
            raise ValueError(f"no {fields['where']!r} in the lab, only a, b and server")
        return cls(**{**fields, "argv": tuple(fields["argv"])})


class Jobs:
    """The running programs by name."""

    def __init__(self, report: ExitReport) -> None:
        self._report = report
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, order: Order) -> int:
        """Start a program and return its process id; its end is reported later. Raises OSError when it cannot start."""
        started: queue.SimpleQueue[int | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._live, args=(order, started), daemon=True).start()
        pid = started.get()
        if isinstance(pid, OSError):
            raise pid
        return pid

    def signal(self, job: str, number: int) -> None:
        """Send a signal to the program's whole process group; nothing happens when it is gone."""
        if process := self._running.get(job):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def write(self, job: str, text: str) -> None:
        """Write to the standard input of a program that was started without an input file."""
        stdin = self._running[job].stdin
        if stdin is None:
            raise OSError(f"{job} reads its input from a file")
        stdin.write(text.encode())
        stdin.flush()

    def close_input(self, job: str) -> None:
        """End of file on the program's standard input."""
        stdin = self._running[job].stdin
        if stdin is not None:
            stdin.close()

    def _live(self, order: Order, started: "queue.SimpleQueue[int | OSError]") -> None:
        """The life of one program, in a thread of its own: a namespace is a thread's, and children inherit it."""
        try:
            if order.where in links.CLIENTS:
                links.enter(order.where)
            process = self._spawn(order)
        except OSError as error:
            started.put(error)
            return
        self._running[order.job] = process
        started.put(process.pid)
        overran = False
        try:
            process.wait(order.limit_seconds)
        except subprocess.TimeoutExpired:
            overran = True
            self.signal(order.job, signal.SIGKILL)
            process.wait()
        del self._running[order.job]
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        self._report(order.job, process.returncode, overran)

    @staticmethod
    def _spawn(order: Order) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as files:
            stdin = subprocess.PIPE if order.stdin is None else files.enter_context(Path(order.stdin).open("rb"))
            stdout, stderr = (files.enter_context(Path(path).open("ab")) for path in (order.stdout, order.stderr))
            return subprocess.Popen(
                order.argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=order.folder,
                env=dict(order.environment),
                start_new_session=True,
            )


def kill_strays(spared: Collection[int]) -> None:
    """SIGKILL every process of the guest but process 1, this one and those in ``spared``; returns when they are gone."""
    spared = {1, os.getpid(), *spared}
    deadline = time.monotonic() + _KILL_SECONDS
    while strays := [pid for pid in _user_processes() if pid not in spared]:
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise OSError(f"processes {strays} do not die: they wait for a server that does not answer")
        time.sleep(0.02)


def _user_processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        # a kernel thread has no command line, and neither has a zombie
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdecimal() and (entry / "cmdline").read_bytes():
                yield int(entry.name)
