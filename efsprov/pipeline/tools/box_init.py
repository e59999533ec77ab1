# ruff: noqa: PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211
# Names are joined under another root, where pathlib's ``/`` would drop it.
"""Builds a box of namespaces and runs one command in it; see `box.py`, which starts this file as a script.

usage: python -I -S box_init.py SPEC_FD STATUS_FD

It reads a JSON document from SPEC_FD and writes one line to STATUS_FD: `exit N`, `signal N`, or `error WHY` when the kernel
does not give a box. It stands alone: what it needs is imported before the root directory changes under it.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 1024, 2048, 4096, 1 << 14
MS_PRIVATE, MS_RELATIME, MNT_DETACH, ST_RELATIME = 1 << 18, 1 << 21, 2, 4096
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000  # one number on every architecture since Linux 5.12
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITIES = 64

libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: Any) -> None:
    """Call a system call of libc; raises OSError that names it."""
    words = [os.fsencode(a) if isinstance(a, str) else a for a in arguments]
    if getattr(libc, function)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}{arguments}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount something, as the system call of that name does."""
    call("mount", source, target, kind, ctypes.c_ulong(flags), data)


def enter_namespaces(*, network: bool) -> None:
    """Leave the machine's mounts, processes and network; in a user namespace, where the kernel gives one."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | (0 if network else CLONE_NEWNET)
    try:
        call("unshare", flags | CLONE_NEWUSER)
    except OSError:
        if uid:
            raise
        call("unshare", flags)
    else:
        # The same numbers inside: a file's owner looks as it does outside.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


class MountAttr(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd"))


def make_read_only(target: str) -> None:
    """Make the mount at TARGET read-only, with all below it where the kernel can (Linux 5.12)."""
    attributes = MountAttr(set=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)
    words = (SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(target), AT_RECURSIVE, ctypes.byref(attributes))
    if libc.syscall(*words, ctypes.sizeof(attributes)) == 0:
        return
    # A user namespace may not clear the flags that a mount came with, so they are stated again.
    came_with = os.statvfs(target).f_flag
    kept = came_with & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
    kept |= MS_RELATIME if came_with & ST_RELATIME else 0
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def bind(source: str, target: str, *, read_only: bool) -> None:
    """Show SOURCE, a file or a folder, at TARGET too."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        make_read_only(target)


def build_root(spec: dict[str, Any]) -> None:
    """Mount a new root over a folder, with what SPEC names at its own place in it, and move there."""
    root = spec["root"]
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for folder in ("/tmp", "/var/tmp", "/dev", "/dev/shm", "/run"):  # noqa: S108 - inside, each of them is new
        os.makedirs(root + folder, exist_ok=True)
        if folder != "/dev":
            mount("tmpfs", root + folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={spec['tmp_bytes']}")
    for device in ("null", "zero", "full", "random", "urandom"):
        bind(f"/dev/{device}", f"{root}/dev/{device}", read_only=False)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for folder in spec["system"]:
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), root + folder)
        elif os.path.exists(folder):
            bind(folder, root + folder, read_only=True)
    entries = [*((path, True) for path in spec["readable"]), *((path, False) for path in spec["writable"])]
    for path, read_only in sorted(entries):  # what holds others comes first
        bind(path, root + path, read_only=read_only)
    os.makedirs(root + "/proc", exist_ok=True)
    mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    with contextlib.suppress(OSError):  # how many processors there are; not needed, and not always to be had
        bind("/sys", root + "/sys", read_only=True)
    mount("none", root, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(root)
    call("pivot_root", ".", ".")  # both at one place: pivot_root(2), NOTES
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


def drop_privileges() -> None:
    """Give up every capability for good: with them the read-only mounts could be made writable."""
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit(spec: dict[str, Any]) -> None:
    """Set the resource limits, none above what this process has."""
    for name, value in spec["limits"].items():
        number = getattr(resource, name)
        _, most = resource.getrlimit(number)
        most = value if most == resource.RLIM_INFINITY else min(value, most)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(number, (most, most))


def run(spec: dict[str, Any]) -> str:
    """Run the command and return `exit N` or `signal N`; it is a child, since the kernel spares PID 1 most signals."""
    child = os.fork()
    if child == 0:
        try:
            drop_privileges()
            limit(spec)
            os.chdir(spec["cwd"])
            os.execve(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606 - there is no shell on purpose
        except BaseException as error:  # noqa: BLE001 - told where the command's own words would be
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(127)
    while True:
        found, status = os.wait()
        if found == child:
            code = os.waitstatus_to_exitcode(status)
            return f"exit {code}" if code >= 0 else f"signal {-code}"


def main(spec_fd: int, status_fd: int) -> None:
    """Build the box, run the command in it, and say how that ended."""
    with open(spec_fd) as file:
        spec = json.load(file)
    os.set_inheritable(status_fd, False)
    try:
        enter_namespaces(network=spec["network"])
        first = os.fork()
    except OSError as error:
        os.write(status_fd, f"error {error}\n".encode())
        os._exit(1)
    if first:
        os.waitpid(first, 0)
        os._exit(0)
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        build_root(spec)
        answer = run(spec)
    except OSError as error:
        answer = f"error {error}"
    os.write(status_fd, f"{answer}\n".encode())
    os._exit(0)  # the kernel then kills all that is left, with PID 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
