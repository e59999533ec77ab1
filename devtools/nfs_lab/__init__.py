"""A real NFSv4.1 server and two real Linux clients in a User-Mode Linux guest: `with Guest() as guest: guest.run("a", ...)`."""

from devtools.nfs_lab.availability import (
    best_place_for_server,
    require,
    require_host_server,
    require_link,
    why_no_link,
    why_not,
)
from devtools.nfs_lab.errors import BootError, GuestDiedError, LabError, LabTimeoutError
from devtools.nfs_lab.fault import Fault
from devtools.nfs_lab.guest import EXPORT, MOUNT_OPTIONS, MOUNTS, Guest
from devtools.nfs_lab.mountstats import Rpcs
from devtools.nfs_lab.oneshot import Outcome, run_once
from devtools.nfs_lab.programs import Completed, Process
from devtools.nfs_lab.sshd import Sshd

__all__ = [
    "EXPORT",
    "MOUNTS",
    "MOUNT_OPTIONS",
    "BootError",
    "Completed",
    "Fault",
    "Guest",
    "GuestDiedError",
    "LabError",
    "LabTimeoutError",
    "Outcome",
    "Process",
    "Rpcs",
    "Sshd",
    "best_place_for_server",
    "require",
    "require_host_server",
    "require_link",
    "run_once",
    "why_no_link",
    "why_not",
]
