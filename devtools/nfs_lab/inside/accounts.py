"""Who can log in: the guest's root file system is the host's, so that root's home has to be moved out of it."""

import socket
from pathlib import Path

from devtools.nfs_lab.inside import syscalls

# both are root; the second is what Amazon Linux calls the user of a fresh instance
LOGINS = ("root", "ec2-user")


def prepare(scratch: Path) -> None:
    """Make home and temporary folder on the scratch disk, and put account files of the guest's own over the host's."""
    socket.sethostname("lab")
    home = scratch / "home"
    home.mkdir(mode=0o700)
    (scratch / "tmp").mkdir()
    (scratch / "tmp").chmod(0o1777)
    others = [line for line in _lines(Path("/etc/passwd")) if line.split(":")[0] not in LOGINS]
    _put_over(Path("/etc/passwd"), [*(f"{name}:x:0:0::{home}:/bin/bash" for name in LOGINS), *others])
    # "*": no password, yet not the "!" of a locked account, which sshd turns away
    _put_over(Path("/etc/shadow"), [f"{name}:*:20000:0:99999:7:::" for name in LOGINS])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _put_over(path: Path, lines: list[str]) -> None:
    own = Path("/run") / path.name
    own.write_text("\n".join([*lines, ""]), encoding="utf-8")
    syscalls.mount(str(own), str(path), "none", syscalls.MS_BIND)
