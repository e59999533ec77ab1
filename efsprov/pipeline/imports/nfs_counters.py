"""What this machine's NFS client has asked of a server, from /proc/self/mountstats."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_DEVICE = re.compile(r"device .* mounted on (.*) with fstype (\S+)")
_OPERATION = re.compile(r"\s+([A-Z_0-9]+): (\d+) ")


@dataclass(frozen=True)
class NfsCounters:
    """Requests by NFS operation, and bytes of file contents that came over the wire."""

    requests: Mapping[str, int] = field(default_factory=dict)
    read_bytes: int = 0

    @property
    def total(self) -> int:
        """How many requests of every kind."""
        return sum(self.requests.values())

    def since(self, earlier: "NfsCounters") -> "NfsCounters":
        """Return what was added, busiest operation first."""
        added = Counter(self.requests)
        added.subtract(earlier.requests)
        return NfsCounters({n: c for n, c in added.most_common() if c}, self.read_bytes - earlier.read_bytes)


def read_nfs_counters(path: Path) -> NfsCounters | None:
    """Return the counters of the mount that ``path`` is on; None where that is not NFS.

    They count what everybody on this machine does on that mount.
    """
    return parse_mountstats(Path("/proc/self/mountstats").read_text("utf-8", "surrogateescape"), path.resolve())


def parse_mountstats(text: str, path: Path) -> NfsCounters | None:
    """Find in ``text`` the mount that the absolute ``path`` is on, the last one where several lie on one folder."""
    found: tuple[PurePosixPath, list[str]] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        if mount := _DEVICE.match(line):
            point = PurePosixPath(_unescaped(mount[1]))
            lines = []
            if path.is_relative_to(point) and (found is None or point.is_relative_to(found[0])):
                found = point, lines if mount[2] in {"nfs", "nfs4"} else []
                lines = found[1]
                lines.append(mount[2])
        else:
            lines.append(line)
    if found is None or found[1][:1] not in (["nfs"], ["nfs4"]):
        return None
    requests = {match[1]: int(match[2]) for line in found[1] if (match := _OPERATION.match(line)) and int(match[2])}
    figures = next((line.split() for line in found[1] if line.lstrip().startswith("bytes:")), [])
    # "bytes:" and eight figures; the fifth counts what servers sent (Linux, nfs_print_iostats).
    return NfsCounters(requests, int(figures[5]) if len(figures) > 5 else 0)


def _unescaped(name: str) -> str:
    """Undo the octal escapes in which the kernel writes blanks."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
