"""Process 1 of the guest: sets it up, then serves the host's requests until the host lets go.

Requests and answers are JSON lines over the first serial line, which the host holds the other end of; programs in the guest
reach the same requests through a socket (see `commands`). Usage: ``agent.py CONFIG``.
"""

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devtools.nfs_lab.ganesha import Ganesha
from devtools.nfs_lab.inside import accounts, links, mounts, syscalls
from devtools.nfs_lab.inside.commands import SOCKET, install_commands
from devtools.nfs_lab.inside.host_server import HostServer
from devtools.nfs_lab.inside.jobs import Jobs, Order, kill_strays
from devtools.nfs_lab.inside.server import EXPORT, Server

_MODULES = ("nfsv4", "veth", "sch_netem")
_SCRATCH = "/mnt/scratch"
_SERIAL_LINE = "/dev/ttyS0"
_RECOVERY_SECONDS = 60.0
Answer = Mapping[str, Any] | None


class Agent:
    """The guest's state and the requests that change it."""

    def __init__(self, config: Mapping[str, Any], serial_line: int) -> None:
        self._config = config
        self._serial_line = serial_line
        self._writing = threading.Lock()
        self._links = links.Links()
        self._server = _server(config)
        self._jobs = Jobs(self._report_exit)
        self._options: dict[str, str] = dict.fromkeys(links.CLIENTS, config["mount_options"])
        self._requests: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "start": lambda request: {"pid": self._jobs.start(Order.from_json(request))},
            "signal": lambda request: self._jobs.signal(request["job"], request["signal"]),
            "write": lambda request: self._jobs.write(request["job"], request["text"]),
            "close_input": lambda request: self._jobs.close_input(request["job"]),
            "kill_strays": lambda _: kill_strays(self._server.pids),
            "reset": lambda _: self._reset(),
            "rpcs": lambda request: mounts.rpcs(request["client"]).as_json(),
            "remount": self._remount,
            "delay": lambda request: self._links.set_delay(float(request["milliseconds"])),
            "partition": self._partition,
            "heal": self._heal,
            "cut": lambda request: self._cut(request["client"]),
            "kill_server": lambda _: self._server.kill(),
            "start_server": lambda request: self._server.start(request.get("environment")),
            "restart_server": self._restart_server,
            "server": lambda _: {"deaths": self._server.deaths, "log": self._server.log_tail()},
            "await_server": self._await_server,
            "open_link": lambda _: links.open_link_to_host(),
            "drop_caches": lambda _: _drop_caches(),
        }

    def set_up(self) -> None:
        """Everything up to both mounts; raises OSError."""
        for device, folder in (("/dev/ubda", EXPORT), ("/dev/ubdb", _SCRATCH)):
            Path(folder).mkdir()
            syscalls.mount(device, folder, "ext4", syscalls.MS_NOATIME)
            shutil.rmtree(f"{folder}/lost+found", ignore_errors=True)
        self._server.boot()
        _load_modules()
        self._links.create()
        self._server.link()
        accounts.prepare(Path(_SCRATCH))
        install_commands(sys.executable)
        threading.Thread(target=self._serve_commands, args=(socket.create_server(SOCKET),), daemon=True).start()
        self._server.wait_until_listening()
        for client in links.CLIENTS:
            mounts.mount(client, self._server.address(client), self._options[client])
        if self._config["delay_ms"]:
            self._links.set_delay(self._config["delay_ms"])

    def serve(self) -> None:
        """Answer the host until it hangs up."""
        self.send({"event": "ready"})
        with os.fdopen(self._serial_line, "rb", closefd=False) as lines:
            while line := lines.readline():
                request = json.loads(line)
                if "file" in request:
                    request = json.loads(Path(request["file"]).read_text(encoding="utf-8"))
                threading.Thread(target=self._answer_host, args=(request,), daemon=True).start()

    def send(self, message: Mapping[str, Any]) -> None:
        """One line to the host."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        with self._writing:
            while data:
                data = data[os.write(self._serial_line, data) :]

    def _answer_host(self, request: Mapping[str, Any]) -> None:
        self.send({"answer": request["id"], **self._perform(request)})

    def _perform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"result": self._requests[request["request"]](request)}
        except Exception as error:  # noqa: BLE001 (whatever it is, who asked waits for it)
            traceback.print_exc()
            return {"error": f"{request['request']}: {type(error).__name__}: {error}"}

    def _report_exit(self, job: str, code: int, overran: bool) -> None:
        self.send({"event": "exit", "job": job, "code": code, "overran": overran})

    def _remount(self, request: Mapping[str, Any]) -> None:
        client = request["client"]
        self._options[client] = request.get("options") or self._options[client]
        mounts.remount(client, self._server.address(client), self._options[client])

    def _partition(self, request: Mapping[str, Any]) -> None:
        self._server.refuse_harm()
        self._links.partition(request["client"])

    def _heal(self, request: Mapping[str, Any]) -> None:
        self._links.heal(request["client"])
        # TCP would only try again after its doubled and doubled pause: after a minute's partition a minute later
        self._cut(request["client"])

    def _cut(self, client: str) -> dict[str, int]:
        return {"connections": self._server.reset_connections(links.client_address(client))}

    def _restart_server(self, request: Mapping[str, Any]) -> None:
        self._server.kill()
        self._server.start(request.get("environment"))
        self._await_server({"clients": [client for client in links.CLIENTS if client not in self._links.partitioned]})

    def _await_server(self, request: Mapping[str, Any]) -> None:
        self._server.wait_until_listening()
        for client in request["clients"]:
            mounts.wait_until_usable(client, _RECOVERY_SECONDS)

    def _reset(self) -> None:
        """The state after boot, with nothing on the disks."""
        for client in sorted(self._links.partitioned):
            self._heal({"client": client})
        self._links.set_delay(0)
        if not self._server.pristine:  # a program that waits for it can only die once it answers
            self._restart_server({})
        kill_strays(self._server.pids)
        for name in ("home", "tmp"):
            _empty(Path(_SCRATCH) / name)
        default = self._config["mount_options"]
        for client in links.CLIENTS:
            self._remount({"client": client, "options": default})
        # through a mount: the server answers from its caches what is removed behind its back
        _empty(Path(mounts.mount_point("b")))
        self._remount({"client": "b", "options": default})

    def _serve_commands(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as lines:
                lines.write(json.dumps(self._perform(json.loads(lines.readline()))) + "\n")


def _server(config: Mapping[str, Any]) -> Server | HostServer:
    if config["server_folder"] is None:
        return Server(config["lease_seconds"])
    return HostServer(Ganesha.on_host(Path(config["server_folder"])))


def _load_modules() -> None:
    """modprobe wants a folder named after the running kernel, which the package's folder need not be."""
    folders = sorted(Path("/usr/lib/uml/modules").iterdir())
    parent = Path("/run/kernel/lib/modules")
    parent.mkdir(parents=True)
    (parent / os.uname().release).symlink_to(folders[-1])
    links.command("modprobe", "-d", "/run/kernel", "-a", *_MODULES)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def _mount_kernel_file_systems() -> None:
    # the root is the host's file system: what the guest itself writes goes to memory
    for source, target, kind in (
        ("proc", "/proc", "proc"),
        ("sys", "/sys", "sysfs"),
        ("run", "/run", "tmpfs"),
        ("mnt", "/mnt", "tmpfs"),
        ("shm", "/dev/shm", "tmpfs"),
        ("devpts", "/dev/pts", "devpts"),
    ):
        if target.startswith("/dev/"):
            Path(target).mkdir(exist_ok=True)
        syscalls.mount(source, target, kind)


def _reap_until_gone(child: int) -> None:
    """Process 1's other duty: orphans become its children, and stay zombies until somebody waits for them."""
    while os.wait()[0] != child:
        pass


def main(config_path: str) -> None:
    """Process 1; never returns while the machine is up."""
    _mount_kernel_file_systems()
    child = os.fork()
    if child:
        _reap_until_gone(child)
        syscalls.power_off()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serial_line = os.open(_SERIAL_LINE, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(serial_line)
    agent = Agent(json.loads(Path(config_path).read_text(encoding="utf-8")), serial_line)
    try:
        agent.set_up()
    except Exception as error:  # noqa: BLE001 (whatever it is, the host is to show it)
        traceback.print_exc()
        agent.send({"event": "failed", "message": str(error)})
        time.sleep(1)
        return
    agent.serve()
    # the host hung up: when it did so in an orderly way the machine is dead by now, and its folder gone
    shutil.rmtree(Path(config_path).parent, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
