"""Whether the lab can run on this machine."""

import os
import platform
import shutil
from pathlib import Path
from typing import Literal

# what a missing tool is to be installed from (Debian's names)
_TOOLS = {
    "linux.uml": "user-mode-linux",
    "ganesha.nfsd": "nfs-ganesha",
    "mount.nfs4": "nfs-common",
    "ip": "iproute2",
    "tc": "iproute2",
    "modprobe": "kmod",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "sshd": "openssh-server",
    "gcc": "gcc",
}
_FILES = {
    "/usr/lib/*/ganesha/libfsalvfs.so": "nfs-ganesha-vfs",
    "/usr/lib/uml/modules/*": "user-mode-linux",
    "/usr/include/stdio.h": "libc6-dev",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tool(name: str) -> str | None:
    """The path of a system tool, also of one that a user's PATH leaves out."""
    return shutil.which(name, path=_PATH)


def why_not() -> str | None:
    """The reason why the lab cannot run here, or None when it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"the NFS lab needs Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    missing = {package for name, package in _TOOLS.items() if tool(name) is None}
    missing |= {package for pattern, package in _FILES.items() if not any(Path("/").glob(pattern[1:]))}
    if missing:
        return f"the NFS lab needs the packages {' '.join(sorted(missing))} (`make lab-packages` installs them)"
    return None


def require() -> None:
    """Skip the running test with the reason where the lab cannot run; fail it where CI=true promises that it can."""
    enforce(why_not(), promised=os.environ.get("CI") == "true")


def require_link() -> None:
    """The same for a test that uses `Guest.start_sshd` or `Guest.expose`."""
    enforce(why_not() or why_no_link(), promised=os.environ.get("CI") == "true")


def why_no_link() -> str | None:
    """The reason why host and guest cannot have a network between them (for SSH) here, or None when they can."""
    if os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return None
    return "a network between host and guest needs read and write access to /dev/net/tun"


def why_no_host_server() -> str | None:
    """The reason why the NFS server cannot run on the host here, or None when it can."""
    if os.geteuid():
        return "an NFS server on the host needs root: it opens files by handle (open_by_handle_at(2))"
    return why_no_link()


def best_place_for_server() -> Literal["guest", "host"]:
    """Where the NFS server is to run for times to be reported: on the host, where it can."""
    return "guest" if why_no_host_server() else "host"


def require_host_server() -> None:
    """The same as `require` for a test that boots ``Guest(server_on="host")``."""
    enforce(why_not() or why_no_host_server(), promised=os.environ.get("CI") == "true")


def enforce(reason: str | None, *, promised: bool) -> None:
    """Go on without a reason; with one, fail the running test if the lab was promised to it, and skip it if not."""
    import pytest

    if reason is None:
        return
    if promised:
        pytest.fail(f"CI=true, so the lab has to run: {reason}")
    pytest.skip(reason)
