"""File modes that come out as asked, whatever umask the process has, without touching other threads' umask."""

import ctypes
import os
from pathlib import Path
from typing import Final

_CLONE_FS: Final = 0x200  # <linux/sched.h>
_LIBC = ctypes.CDLL(None, use_errno=True)


def drop_umask() -> int:
    """Let this thread create files with the very mode it asks for; return the bits that are still taken away.

    Linux keeps umask and working directory for all threads together, unless a thread unshares them, which needs no
    privilege (unshare(2), CLONE_FS). Where a sandbox forbids it, the process's umask is what is returned.
    """
    if _LIBC.unshare(_CLONE_FS) == 0:
        os.umask(0)
        return 0
    return process_umask()


def admit_readers() -> None:
    """Let others read what this process makes: functions that read a release run as other users than who made it.

    What the umask says of writing stays. For the start of a program: it holds for all threads.
    """
    os.umask(process_umask() & 0o022)


def process_umask() -> int:
    """Return this process's umask without setting it for a moment, as umask(2) would."""
    for line in Path("/proc/thread-self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o777  # not reported: take nothing for granted
