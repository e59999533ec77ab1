"""RPC counters of an NFS mount, from /proc/self/mountstats."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_OPERATION = re.compile(r"\s+([A-Z_0-9]+): (\d+) ")


class NotMountedError(LookupError):
    """No NFS mount at the path that was asked for."""


@dataclass(frozen=True)
class Rpcs:
    """RPCs that a client sent since its mount, or between two readings (subtract them).

    ``ops`` counts requests by NFS operation and leaves out zeros; ``read_bytes`` and ``write_bytes`` are what crossed
    the wire as file contents; ``connects`` counts how often the client went about a TCP connection, more than one for each.
    """

    ops: Mapping[str, int] = field(default_factory=dict)
    read_bytes: int = 0
    write_bytes: int = 0
    connects: int = 0

    @property
    def total(self) -> int:
        """How many RPCs, of every kind."""
        return sum(self.ops.values())

    def __sub__(self, earlier: "Rpcs") -> "Rpcs":
        left = Counter(self.ops)
        left.subtract(earlier.ops)
        return Rpcs(
            {name: count for name, count in left.most_common() if count},
            self.read_bytes - earlier.read_bytes,
            self.write_bytes - earlier.write_bytes,
            self.connects - earlier.connects,
        )

    def as_json(self) -> dict[str, Any]:
        """A document that json.dumps takes, and ``Rpcs.from_json`` gives back."""
        return {
            "total": self.total,
            "read_bytes": self.read_bytes,
            "write_bytes": self.write_bytes,
            "connects": self.connects,
            "ops": dict(self.ops),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Rpcs":
        """The counters that ``as_json`` wrote."""
        return cls(dict(document["ops"]), document["read_bytes"], document["write_bytes"], document["connects"])


def parse(mountstats: str, mount_point: str) -> Rpcs:
    """Counters of the mount at ``mount_point``, busiest operation first.

    Raises NotMountedError when no NFS file system is mounted there.
    """
    ops: dict[str, int] = {}
    read_bytes = write_bytes = connects = 0
    inside = found = False
    for line in mountstats.splitlines():
        if line.startswith("device "):
            inside = f" mounted on {mount_point} with fstype nfs" in line
            found = found or inside
        elif inside and line.lstrip().startswith("bytes:"):
            # "bytes:" and eight figures; the fifth and sixth count what servers sent and took
            figures = line.split()[1:]
            read_bytes, write_bytes = int(figures[4]), int(figures[5])
        elif inside and line.lstrip().startswith("xprt:"):
            # "xprt:", "tcp", the source port, then how often it was bound and connected
            connects = int(line.split()[4])
        elif inside and (match := _OPERATION.match(line)) and int(match[2]):
            ops[match[1]] = int(match[2])
    if not found:
        raise NotMountedError(f"no NFS mount at {mount_point}")
    return Rpcs(dict(sorted(ops.items(), key=lambda item: -item[1])), read_bytes, write_bytes, connects)
