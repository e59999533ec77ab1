# ruff: noqa: PTH103, PTH110, PTH112, PTH120, PTH123, PTH208, PTH211
# Names are joined under another root, where pathlib's ``/`` would drop it.
"""PID 1 of an execution environment: builds its file system, then starts, freezes and kills the runtime as it is told.

``sandbox.py`` runs this file as a script, with the number of a control socket (``SOCK_SEQPACKET``, one JSON document a
message). The first message describes the file system; what follows are commands. It stands alone: the modules that it
needs are imported before the root directory changes under it.

The runtime is a child of PID 1 and not PID 1 itself, because the kernel spares PID 1 the signals that kill others; and
the environment outlives it, as Lambda's does: after a time-out or a crash the next runtime finds the same ``/tmp``.
"""

import contextlib
import ctypes
import json
import os
import re
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_REC, MS_PRIVATE, MS_RELATIME = 1 << 14, 1 << 18, 1 << 21
MNT_DETACH = 2
ST_RELATIME = 4096  # statvfs has its own number for this one; the others are mount(2)'s

libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: Any) -> None:
    """Call a system call of libc; raises OSError that names the call and its arguments."""
    words = [os.fsencode(a) if isinstance(a, str) else a for a in arguments]
    if getattr(libc, function)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}{arguments}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    call("mount", source, target, kind, ctypes.c_ulong(flags), data)


def enter_namespaces() -> None:
    """Leave the machine's mounts and processes; without root, in a user namespace in which we are root."""
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWNS | CLONE_NEWPID | (CLONE_NEWUSER if uid else 0))
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def bind(source: str, target: str, *, read_only: bool) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        # A user namespace may not clear the flags that a mount came with, so they are stated again.
        came_with = os.statvfs(target).f_flag
        kept = came_with & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
        kept |= MS_RELATIME if came_with & ST_RELATIME else 0
        mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def build_root(root: str, entries: list[dict[str, Any]]) -> None:
    """Mount a new root directory over the folder ``root``, fill it in the order of the entries, and move into it."""
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for entry in entries:
        target = root + entry["target"]
        if entry["kind"] == "bind":
            bind(entry["source"], target, read_only=entry["read_only"])
        elif entry["kind"] == "tmpfs":
            os.makedirs(target, exist_ok=True)
            mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={entry['size']}")
        elif entry["kind"] == "symlink":
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(entry["source"], target)
        else:
            os.makedirs(target, exist_ok=True)
            mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("none", root, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(root)
    call("pivot_root", ".", ".")  # both at one place: pivot_root(2), "pivot_root(".", ".")"
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


class Init:
    """The command loop. Commands are answered in turn; the runtime's end is reported without being asked."""

    def __init__(self, control: socket.socket, logs: int) -> None:
        self.control, self.logs = control, logs
        self.runtime: int | None = None

    def serve(self) -> None:
        """Until the other end of the control socket is closed; the kernel then kills what is left, with PID 1."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll()}
            if woken in ready:
                os.read(woken, 4096)
                self.reap(os.WNOHANG)
            if self.control.fileno() in ready:
                message = self.control.recv(1 << 20)
                if not message:
                    return
                command = json.loads(message)
                self.tell({"reply": getattr(self, "do_" + command.pop("do"))(**command)})

    def tell(self, document: dict[str, Any]) -> None:
        try:
            self.control.send(json.dumps(document).encode())
        except BrokenPipeError:
            sys.exit(0)  # nobody to work for

    def reap(self, options: int) -> None:
        with contextlib.suppress(ChildProcessError):  # raised when none is left
            while (ended := os.waitpid(-1, options)) != (0, 0):
                if ended[0] == self.runtime:
                    self.runtime = None
                    self.tell({"exited": os.waitstatus_to_exitcode(ended[1])})

    def do_start(self, argv: list[str], environ: dict[str, str], directory: str, limits: dict[str, int]) -> int:
        child = os.fork()
        if child:
            self.runtime = child
            return child
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(self.logs, 1)
            os.dup2(self.logs, 2)
            os.chdir(directory)
            for name, value in limits.items():
                resource.setrlimit(getattr(resource, name), (value, value))
            os.execve(argv[0], argv, environ)
        except OSError as error:
            os.write(2, f"{argv[0]}: {error}\n".encode())
        os._exit(127)

    def do_freeze(self) -> None:
        signal_all(signal.SIGSTOP)
        while any(state not in "TtZX" for state in self.states()):
            time.sleep(0.0005)  # SIGSTOP is on its way; a frozen environment does nothing at all

    def states(self) -> list[str]:
        """Of each process but PID 1, as in proc_pid_stat(5); its name, in parentheses, may contain anything."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat") as file:
                found += [file.read().rpartition(")")[2].split()[0]] if pid != "1" else []
        return found

    def do_thaw(self) -> None:
        signal_all(signal.SIGCONT)

    def do_kill(self) -> None:
        self.runtime = None  # its end is the answer to this command, not news
        signal_all(signal.SIGKILL)
        self.reap(0)

    def do_peak(self) -> int:
        """Sum of the peak resident sets of the processes that are alive, in KiB."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/status") as file:
                found = re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.MULTILINE)
                total += int(found[1]) if found and pid != "1" else 0
        return total


def signal_all(number: int) -> None:
    """To every process of the environment but PID 1, which sends it: kill(2)."""
    with contextlib.suppress(ProcessLookupError):  # there is none
        os.kill(-1, number)


def main() -> int:
    control, logs = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    control.set_inheritable(False)
    spec = json.loads(control.recv(1 << 20))
    try:
        enter_namespaces()
        if init := os.fork():
            control.close()
            return os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
        build_root(spec["root"], spec["entries"])
    except OSError as error:
        control.send(json.dumps({"unavailable": str(error)}).encode())
        return 1
    init_process = Init(control, logs)
    init_process.tell({"reply": "ready"})
    init_process.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
