"""The lab's guest as the host sees it: programs on two NFS clients and a server, and what can befall them."""

import contextlib
import itertools
import os
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from devtools.nfs_lab.channel import BrokenChannelError, Channel, Message
from devtools.nfs_lab.errors import BootError, GuestDiedError, LabError
from devtools.nfs_lab.fault import Fault
from devtools.nfs_lab.link import Forward
from devtools.nfs_lab.machine import Hardware, Machine, machine
from devtools.nfs_lab.mountstats import Rpcs
from devtools.nfs_lab.programs import PROGRAM_SECONDS, Completed, Process
from devtools.nfs_lab.sshd import COMMAND as SSHD_COMMAND
from devtools.nfs_lab.sshd import FOLDER as SSHD_FOLDER
from devtools.nfs_lab.sshd import Sshd, configuration

Client = Literal["a", "b"]
Where = Literal["a", "b", "server"]

# What AWS tells users of EFS to mount with.
MOUNT_OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"
EXPORT = "/mnt/export"
SCRATCH = "/mnt/scratch"
COMMANDS = "/run/lab"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOUNTS: Mapping[Client, str] = {"a": "/mnt/a", "b": "/mnt/b"}

_BOOT_SECONDS = 120.0
_REQUEST_SECONDS = 90.0
_RESTART_SECONDS = 180.0


class Guest:
    """A booted guest; a context manager, gone without a trace when it is left.

    Clients "a" and "b" mount the same export at ``MOUNTS``, "server" sees it as a local folder at ``EXPORT`` (to look at:
    what is written there goes past the NFS server, which keeps answering from its caches); all see a local disk at ``SCRATCH``, where $HOME and $TMPDIR are. The guest's root is the host's file system, so checkouts,
    interpreters and temporary folders are there under their usual paths.

    With ``server_on="host"`` the NFS server is a process of the host, which takes root: it costs the guest no time, as a
    file system elsewhere does not, and round trips take what the delay says. What befalls it is out of the guest's
    hands (no faults, cuts or partitions), and ``EXPORT`` is a local disk that starts with the same contents.
    """

    def __init__(
        self,
        *,
        delay_ms: float = 0,
        seed: str | Path | None = None,
        memory_mb: int = 2048,
        disk_gb: int = 8,
        mount_options: str = MOUNT_OPTIONS,
        lease_seconds: int = 20,
        seconds: float = 3600,
        server_on: Literal["guest", "host"] = "guest",
    ) -> None:
        folder = None if seed is None else Path(seed)
        self._hardware = Hardware(memory_mb, disk_gb, folder, server_on_host=server_on == "host")
        self._config = {"delay_ms": delay_ms, "mount_options": mount_options, "lease_seconds": lease_seconds}
        self._mount_options = mount_options
        self._limit = seconds
        self._cleanup = contextlib.ExitStack()
        self._machine: Machine | None = None
        self._channel: Channel | None = None
        self._boot_outcome: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._jobs = itertools.count(1)
        self._processes: dict[str, Process] = {}
        self._changing = threading.Lock()
        self._reason = "it was not booted"
        self._services = contextlib.ExitStack()  # of the host for the guest and the other way round

    def __enter__(self) -> Self:
        """Boot; raises BootError with the console's last lines."""
        with contextlib.ExitStack() as cleanup:
            self._machine = cleanup.enter_context(machine(self._hardware, self._config))
            self._reason = "it ended by itself"
            self._channel = Channel(self._machine.line, self._machine.folder / "jobs", self._hear)
            try:
                outcome = self._boot_outcome.get(timeout=_BOOT_SECONDS)
            except queue.Empty:
                outcome = {"event": "failed", "message": f"nothing heard from it in {_BOOT_SECONDS:.0f} s"}
            if outcome["event"] != "ready":
                raise BootError(f"the guest did not boot: {outcome['message']}\n{self._machine.console_tail()}")
            self._machine.forget_disks()
            watchdog = threading.Timer(self._limit, self._give_up)
            watchdog.daemon = True
            watchdog.start()
            cleanup.callback(watchdog.cancel)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the guest and remove its files; nothing happens the second time."""
        if self.alive:
            self._reason = "it was closed"
        self._services.close()
        self._cleanup.close()

    @property
    def alive(self) -> bool:
        """Whether the guest answers requests."""
        return self._channel is not None and not self._channel.broken

    @property
    def results(self) -> Path:
        """A folder on the host, $RESULTS in the guest; what is to be kept has to be copied before the guest closes."""
        return self._running_machine().folder / "results"

    def run(
        self,
        where: Where,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        input: str | bytes = "",  # noqa: A002 (subprocess's word)
        cwd: str | Path = "/",
        timeout: float = PROGRAM_SECONDS,
        check: bool = False,
    ) -> Completed:
        """Run a program to its end on client "a", "b" or the "server".

        Its environment is the lab's ($A, $B, $EXPORT, $MOUNT, $RESULTS, PATH with the lab's commands) and ``env``.
        Raises LabTimeoutError when it had to be killed after ``timeout`` seconds, LabError when it cannot start, and
        with ``check`` when it fails.
        """
        process = self._start(where, argv, env, cwd, given=input, limit=timeout)
        done = process.wait(timeout + _REQUEST_SECONDS)
        return done.checked() if check else done

    def start(
        self,
        where: Where,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path = "/",
    ) -> Process:
        """Start a program as `run` does and return while it runs; its standard input is a pipe."""
        return self._start(where, argv, env, cwd, given=None, limit=None)

    def kill_programs(self) -> None:
        """SIGKILL all programs and what they have left behind, and wait until they are gone."""
        self.request("kill_strays")
        for process in self._running_programs():
            with contextlib.suppress(LabError):
                process.wait(_REQUEST_SECONDS)

    def rpcs(self, client: Client) -> Rpcs:
        """The RPCs that a client has sent since its (re)mount."""
        return Rpcs.from_json(self.request("rpcs", client=client))

    def remount(self, client: Client, options: str | None = None) -> None:
        """Mount again: cold caches, counters at zero. ``options`` replace the guest's mount options until the next call."""
        self.request("remount", client=client, options=options or self._mount_options)

    def set_delay(self, milliseconds: float) -> None:
        """Make every round trip of both clients that much longer, from now on."""
        self.request("delay", milliseconds=milliseconds)

    def drop_caches(self) -> None:
        """Empty the page, directory and inode caches of the guest: of clients and server, which share one kernel there."""
        self.request("drop_caches")

    def partition(self, client: Client) -> None:
        """Lose all packets between a client and the server, in both directions; neither is told."""
        self.request("partition", client=client)

    def heal(self, client: Client) -> None:
        """End a partition; the client connects again at once instead of after TCP's next try."""
        self.request("heal", client=client)

    def cut(self, client: Client) -> int:
        """Reset the client's TCP connections; the server and its state live. How many there were."""
        return int(self.request("cut", client=client)["connections"])

    def kill_server(self) -> None:
        """SIGKILL the NFS server; it stays dead until `start_server`, and programs on the mounts block."""
        self.request("kill_server")

    def start_server(self, fault: Fault | None = None, *, preload: Path | None = None) -> None:
        """Start the killed server, with a fault or a library of one's own preloaded; returns when it listens."""
        self.request("start_server", environment=self._server_environment(fault, preload))

    def restart_server(self, fault: Fault | None = None, *, preload: Path | None = None) -> None:
        """Kill the server and start it; returns when each client that is not partitioned has its session again."""
        self.request("restart_server", environment=self._server_environment(fault, preload), timeout=_RESTART_SECONDS)

    def await_server(self, *clients: Client) -> None:
        """Return when the server answers the clients (all, when none is named); raises LabError when it does not."""
        self.request("await_server", clients=clients or tuple(MOUNTS), timeout=_RESTART_SECONDS)

    def server_deaths(self) -> int:
        """How often the server has died of a fault, since boot."""
        return int(self.request("server")["deaths"])

    def server_log(self) -> str:
        """The last lines that the server wrote."""
        return str(self.request("server")["log"])

    def last_words(self) -> str:
        """The ends of the guest's console and of the server's log, to find the cause of a failure."""
        console = self._running_machine().console_tail()
        return f"{console}\n\nThe NFS server's log:\n{self.server_log()}"

    def start_sshd(self, host_key: str, authorized_keys: str, port: int = 0) -> Sshd:
        """Start an SSH server, reached at ``port`` of the host's loopback interface (0: a free one).

        ``host_key`` is a private key's text, ``authorized_keys`` public ones. Commands run beside the mounts /mnt/a and
        /mnt/b with the environment of `run`. Raises LabError.
        """
        environment = self._environment("server")
        files = {"host_key": host_key, "authorized_keys": authorized_keys, "sshd_config": configuration(environment)}
        for name, text in files.items():
            install = f"umask 077; mkdir -p /run/sshd {SSHD_FOLDER}; cat > {SSHD_FOLDER}/{name}"
            self.run("server", ["/bin/sh", "-c", install], input=text, check=True)
        return self.start_ssh_program(SSHD_COMMAND, port)

    def start_ssh_program(self, words: Sequence[str | Path], port: int = 0) -> Sshd:
        """Start a program that serves SSH on the guest's port 22; it is reached as `start_sshd`'s. Raises LabError."""
        self.request("open_link")
        sshd = Sshd(self.start("server", words), self._running_machine().link, port)
        self._services.callback(sshd.stop)
        return sshd

    def expose(self, port: int) -> tuple[str, int]:
        """Let the guest reach a TCP service on the host's loopback interface; the address and port for the guest."""
        self.request("open_link")
        listener = self._running_machine().link.listen()
        forward = Forward(listener, lambda: socket.create_connection(("127.0.0.1", port)))
        self._services.callback(forward.close)
        return forward.address, forward.port

    def reset(self) -> None:
        """The state after boot with empty disks: no faults, no programs, cold clients."""
        self._services.close()
        self.request("reset", timeout=_RESTART_SECONDS)

    def request(self, request: str, *, timeout: float = _REQUEST_SECONDS, **arguments: Any) -> Any:
        """Ask the agent in the guest; raises LabError with its reason, LabTimeoutError or GuestDiedError."""
        if self._channel is None:
            raise self.death(request)
        try:
            return self._channel.request(request, arguments, timeout)
        except BrokenChannelError as error:
            raise self.death(request) from error

    def death(self, during: str) -> GuestDiedError:
        """The error that says why the guest is gone."""
        tail = self._machine.console_tail() if self._machine and self._machine.folder.exists() else ""
        return GuestDiedError(f"the guest is gone ({self._reason}) during: {during}\n{tail}")

    def _running_programs(self) -> list[Process]:
        with self._changing:
            return list(self._processes.values())

    def _start(
        self,
        where: Where,
        argv: Sequence[str | os.PathLike[str]],
        env: Mapping[str, str] | None,
        cwd: str | Path,
        *,
        given: str | bytes | None,
        limit: float | None,
    ) -> Process:
        jobs = self._running_machine().folder / "jobs"
        job = f"{next(self._jobs)}"
        words = tuple(os.fspath(word) for word in argv)
        stdin, stdout, stderr = (jobs / f"{job}.{name}" for name in ("in", "out", "err"))
        if given is not None:
            stdin.write_bytes(given.encode() if isinstance(given, str) else given)
        stdout.touch()
        stderr.touch()
        process = Process(self, job, words, stdout, stderr)
        with self._changing:
            self._processes[job] = process
        try:
            started = self.request(
                "start",
                job=job,
                where=where,
                argv=words,
                environment={**self._environment(where), **(env or {})},
                folder=str(cwd),
                stdin=None if given is None else str(stdin),
                stdout=str(stdout),
                stderr=str(stderr),
                limit_seconds=limit,
            )
        except LabError:
            with self._changing:
                self._processes.pop(job, None)
            raise
        process.pid = started["pid"]
        return process

    def _server_environment(self, fault: Fault | None, preload: Path | None) -> Mapping[str, str]:
        if fault is not None:
            return fault.environment(self._running_machine().folder)
        return {} if preload is None else {"LD_PRELOAD": str(preload)}

    def _environment(self, where: Where) -> dict[str, str]:
        return {
            "PATH": f"{COMMANDS}:{SYSTEM_PATH}",
            "HOME": f"{SCRATCH}/home",
            "TMPDIR": f"{SCRATCH}/tmp",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # the interpreters and checkouts are the host's
            "A": MOUNTS["a"],
            "B": MOUNTS["b"],
            "EXPORT": EXPORT,
            "MOUNT": EXPORT if where == "server" else MOUNTS[where],
            "RESULTS": str(self.results),
        }

    def _running_machine(self) -> Machine:
        if self._machine is None or not self.alive:
            raise self.death("a request")
        return self._machine

    def _give_up(self) -> None:
        self._reason = f"its {self._limit:.0f} s were up"
        if self._machine is not None:
            self._machine.kill()

    def _hear(self, message: Message) -> None:
        """What the agent says by itself: how the boot went, that a program ended, or nothing ever again."""
        with self._changing:
            if message["event"] == "exit":
                if process := self._processes.pop(message["job"], None):
                    process.ended(message["code"], overran=message["overran"])
                return
            if message["event"] == "broken":
                for process in self._processes.values():
                    process.ended(None)
        self._boot_outcome.put({"message": "it ended during boot", **message})
