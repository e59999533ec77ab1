"""The NFS client's counters, of the mount that a folder is on."""

from pathlib import Path

import pytest

from efsprov.pipeline.imports.nfs_counters import NfsCounters, parse_mountstats, read_nfs_counters

MOUNTSTATS = r"""device rootfs mounted on / with fstype rootfs
device fs-1.efs:/ mounted on /mnt/efs with fstype nfs4 statvers=1.1
    opts:    rw,vers=4.1,rsize=1048576
    bytes:    11 22 33 44 5555 66 77 88
    RPC iostats version: 1.1  p/v: 100003/4 (nfs)
    xprt:    tcp 955 1 1 0 3 38 38 0 38 0 2 0 0
    per-op statistics
            NULL: 1 1 0 44 24 8 0 8 0
            READ: 20 20 0 4000 5555 0 10 10 0
          LOOKUP: 7 7 0 1 1 0 1 1 0
           WRITE: 0 0 0 0 0 0 0 0 0

device tmpfs mounted on /mnt/efs/memory with fstype tmpfs
device fs-2.efs:/ mounted on /mnt/with\040blank with fstype nfs4 statvers=1.1
    bytes:    1 2 3 4 5 6 7 8
    per-op statistics
            READ: 3 3 0 4000 5555 0 10 10 0
device fs-3.efs:/ mounted on /mnt/efs/inner with fstype nfs statvers=1.1
    bytes:    1 2 3 4 9 6 7 8
    per-op statistics
         GETATTR: 4 4 0 4000 5555 0 10 10 0
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mnt/efs", NfsCounters({"NULL": 1, "READ": 20, "LOOKUP": 7}, 5555)),
        ("/mnt/efs/deps/x", NfsCounters({"NULL": 1, "READ": 20, "LOOKUP": 7}, 5555)),
        ("/mnt/efs/inner/deps", NfsCounters({"GETATTR": 4}, 9)),
        ("/mnt/with blank", NfsCounters({"READ": 3}, 5)),
        ("/mnt/efs/memory/x", None),
        ("/mnt/efsother", None),
        ("/", None),
    ],
)
def test_the_mount_that_a_folder_is_on_is_found(path, expected):
    assert parse_mountstats(MOUNTSTATS, Path(path)) == expected


def test_what_lies_over_a_mount_hides_it():
    assert parse_mountstats(MOUNTSTATS + "device x mounted on /mnt/efs with fstype tmpfs\n", Path("/mnt/efs/a")) is None


def test_what_was_added_is_reported_busiest_first():
    earlier, later = NfsCounters({"READ": 1, "OPEN": 2}, 10), NfsCounters({"READ": 2, "OPEN": 2, "LOOKUP": 5}, 40)
    added = later.since(earlier)
    assert list(added.requests.items()) == [("LOOKUP", 5), ("READ", 1)]
    assert (added.total, added.read_bytes) == (6, 30)


def test_a_local_folder_has_none(tmp_path):
    assert read_nfs_counters(tmp_path) is None
