"""The two clients' mounts of the export."""

import errno
import os
import threading
import time
from pathlib import Path

from devtools.nfs_lab.inside import links, syscalls
from devtools.nfs_lab.mountstats import Rpcs, parse

_UNMOUNT_SECONDS = 25.0  # a request that the server put off is sent again after up to 15
_POLL_SECONDS = 0.01

# The kernel takes these as flags, everything else of a mount's options as text.
_FLAGS = {
    "ro": syscalls.MS_RDONLY,
    "rw": 0,
    "nosuid": syscalls.MS_NOSUID,
    "nodev": syscalls.MS_NODEV,
    "noexec": syscalls.MS_NOEXEC,
    "sync": syscalls.MS_SYNCHRONOUS,
    "noatime": syscalls.MS_NOATIME,
    "nodiratime": syscalls.MS_NODIRATIME,
    "relatime": syscalls.MS_RELATIME,
}


def mount_point(client: str) -> str:
    """Where the client's mount of the export is."""
    return f"/mnt/{client}"


def mount(client: str, server: str, options: str) -> None:
    """Mount the export of the server at that address on ``client`` with mount(8)'s options; raises OSError."""
    Path(mount_point(client)).mkdir(exist_ok=True)
    flags, text = 0, []
    for option in filter(None, options.split(",")):
        if option in _FLAGS:
            flags |= _FLAGS[option]
        else:
            text.append(option)
    # What a killed program asked of a server that died can keep an unmounted file system alive in the kernel for good, with
    # its caches and with write errors that nobody was told of (measured). By default the next mount is that one again.
    text += ["nosharecache", f"addr={server}", f"clientaddr={links.client_address(client)}", "sec=sys"]
    _in_thread(client, f"{server}:/", mount_point(client), flags, ",".join(text))


def remount(client: str, server: str, options: str) -> None:
    """Unmount and mount again: a client with cold caches, counters at zero, and no error of before; raises OSError."""
    _unmount(client)
    mount(client, server, options)


def wait_until_usable(client: str, seconds: float) -> None:
    """Return once the server has answered the client, which recovers its session on the way; raises OSError if late."""
    answered = threading.Event()

    def ask() -> None:
        os.statvfs(mount_point(client))  # never cached
        answered.set()

    threading.Thread(target=ask, daemon=True).start()
    if not answered.wait(seconds):
        raise OSError(f"the server has not answered client {client} for {seconds} s")


def rpcs(client: str) -> Rpcs:
    """The client's counters since its mount."""
    return parse(Path("/proc/self/mountstats").read_text(encoding="ascii"), mount_point(client))


def _unmount(client: str) -> None:
    """Unmount; waits for what a killed program's last requests hold on to."""
    deadline = time.monotonic() + _UNMOUNT_SECONDS
    while True:
        try:
            return syscalls.unmount(mount_point(client))
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _in_thread(client: str, source: str, target: str, flags: int, options: str) -> None:
    """A mount's connection belongs to the network namespace of the thread that mounts, so lend it one."""
    errors: list[OSError] = []

    def mount_in_namespace() -> None:
        try:
            links.enter(client)
            syscalls.mount(source, target, "nfs4", flags, options)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=mount_in_namespace)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
