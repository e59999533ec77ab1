"""The NFS server on the host, in the network namespace that the link to the guest is in."""

import subprocess
from pathlib import Path

from devtools.nfs_lab.availability import tool, why_no_host_server
from devtools.nfs_lab.errors import BootError
from devtools.nfs_lab.ganesha import Ganesha
from devtools.nfs_lab.link import Link


def start_server(link: Link, folder: Path, seed: Path | None, lease_seconds: int) -> None:
    """Export a copy of ``seed`` from ``folder``, which is made, until the link is closed. Raises BootError and LabError."""
    if reason := why_no_host_server():
        raise BootError(reason)
    ganesha = Ganesha.on_host(folder)
    ganesha.export.mkdir(parents=True)
    ganesha.export.chmod(0o755)
    if seed is not None:
        argv = ["cp", "-a", "--reflink=auto", f"{seed}/.", str(ganesha.export)]  # what is in it, also through a link
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BootError(f"the export could not be filled: {done.stderr.strip()}")
    ganesha.configure(lease_seconds)
    program, *arguments = ganesha.argv
    link.start([str(tool(program)), *arguments], ganesha.output)
