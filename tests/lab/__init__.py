"""A real NFSv4.1 server and two real Linux clients in a User-Mode Linux guest: `with Guest() as guest: guest.run("a", ...)`."""

from tests.lab.availability import (
    best_place_for_server,
    require,
    require_host_server,
    require_link,
    why_no_link,
    why_not,
)
from tests.lab.errors import BootError, GuestDiedError, LabError, LabTimeoutError
from tests.lab.fault import Fault
from tests.lab.guest import EXPORT, MOUNT_OPTIONS, MOUNTS, Guest
from tests.lab.mountstats import Rpcs
from tests.lab.oneshot import Outcome, run_once
from tests.lab.programs import Completed, Process
from tests.lab.sshd import Sshd

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
