"""System calls of Linux that Python 3.11's os module lacks."""

import ctypes
import os

CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS = 1, 2, 4, 8, 16
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_RELATIME = 1024, 2048, 4096, 1 << 21
_POWER_OFF = 0x4321FEDC
_PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2); raises OSError."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(_libc.mount(*arguments), f"mount {kind} at {target} ({options})")


def unmount(target: str) -> None:
    """umount(2); raises OSError, EBUSY while a process is inside."""
    _checked(_libc.umount2(target.encode(), 0), f"umount {target}")


def new_network_namespace() -> None:
    """Give the calling thread a network namespace of its own."""
    _checked(_libc.unshare(CLONE_NEWNET), "unshare")


def enter_network_namespace(path: str) -> None:
    """Move the calling thread, and what it will start, into the namespace at ``path``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _checked(_libc.setns(descriptor, CLONE_NEWNET), f"setns {path}")
    finally:
        os.close(descriptor)


def power_off() -> None:
    """Stop the machine at once; for process 1."""
    os.sync()
    _libc.reboot(_POWER_OFF)


def borrow_descriptor(pid: int, descriptor: int) -> int:
    """A descriptor of our own for what another process has open; raises OSError. Linux 5.6, pidfd_getfd(2)."""
    process = os.pidfd_open(pid)
    try:
        return _checked(_libc.syscall(_PIDFD_GETFD, process, descriptor, 0), f"pidfd_getfd {pid} {descriptor}")
    finally:
        os.close(process)


def reset_connection(descriptor: int) -> None:
    """Abort a TCP connection: its peer gets a reset. connect(2): AF_UNSPEC dissolves the association."""
    nobody = ctypes.create_string_buffer(16)  # struct sockaddr, all zeros: AF_UNSPEC
    _checked(_libc.connect(descriptor, nobody, len(nobody)), "connect AF_UNSPEC")
