"""What a folder lies on: the kind of file system, by the kernel's own table (proc_pid_mountinfo(5))."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
NETWORK: Final = frozenset({"nfs", "nfs4", "fuse.nfs", "cifs", "smb3", "9p", "virtiofs", "lustre"})


@dataclass(frozen=True)
class Mount:
    """``kind`` is the file system's name ("nfs4", "ext4"), "" where it is not known; ``at`` where it is mounted."""

    kind: str
    at: str

    @property
    def is_network(self) -> bool:
        """Whether other machines can mount it, too."""
        return self.kind in NETWORK


def find_mount(path: Path) -> Mount:
    """Return what ``path`` lies on; changes nothing, and raises nothing."""
    real = os.path.realpath(path)
    try:
        lines = _TABLE.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return Mount("", "")
    found = Mount("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        at = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
        if (real == at or real.startswith(at.rstrip("/") + "/")) and len(at) >= len(found.at):
            found = Mount(after.split(" ")[0], at)  # of two at one place the later one hides the earlier
    return found
