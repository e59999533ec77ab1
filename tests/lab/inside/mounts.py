"""The two clients' mounts of the export."""

import os
import threading
from pathlib import Path

from tests.lab.inside import links, syscalls
from tests.lab.mountstats import Rpcs, parse

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
    text += [f"addr={server}", f"clientaddr={links.client_address(client)}", "sec=sys"]
    _in_thread(client, f"{server}:/", mount_point(client), flags, ",".join(text))


def remount(client: str, server: str, options: str) -> None:
    """Unmount and mount again: a client with cold caches and counters at zero."""
    syscalls.unmount(mount_point(client))
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
