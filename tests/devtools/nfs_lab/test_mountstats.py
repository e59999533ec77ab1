import pytest

from devtools.nfs_lab.mountstats import NotMountedError, Rpcs, parse

MOUNTSTATS = """\
device proc mounted on /proc with fstype proc
device 10.0.0.1:/ mounted on /mnt/a with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.1,rsize=1048576,wsize=1048576
\tage:\t12
\tevents:\t4 5 6 7 8 9
\tbytes:\t100 200 0 0 300 400 5 6
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\ttcp 0 0 2 0 11 28 28 0 28 0 2 0 0
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t        READ: 0 0 0 0 0 0 0 0 0
\t        OPEN: 7 7 0 2000 3000 0 5 5 1
\t       CLOSE: 6 6 0 1500 1300 0 4 4 0
\t  OPEN_NOATTR: 2 2 0 1500 1300 0 4 4 0
device 10.0.1.1:/ mounted on /mnt/ab with fstype nfs4 statvers=1.1
\tbytes:\t1 1 1 1 1 1 1 1
\tper-op statistics
\t        OPEN: 1000 7 0 2000 3000 0 5 5 1
"""


def test_counts_of_one_mount_alone_the_busiest_first() -> None:
    rpcs = parse(MOUNTSTATS, "/mnt/a")
    assert list(rpcs.ops.items()) == [("OPEN", 7), ("CLOSE", 6), ("OPEN_NOATTR", 2), ("NULL", 1)]
    assert (rpcs.total, rpcs.read_bytes, rpcs.write_bytes, rpcs.connects) == (16, 300, 400, 2)


@pytest.mark.parametrize("where", ["/mnt", "/proc", "/mnt/b"])
def test_no_nfs_there_is_an_error(where: str) -> None:
    with pytest.raises(NotMountedError, match=where):
        parse(MOUNTSTATS, where)


def test_two_readings_subtract_to_what_lies_between() -> None:
    earlier, later = Rpcs({"OPEN": 3, "CLOSE": 3}, 10, 20, 1), Rpcs({"OPEN": 3, "CLOSE": 5, "READ": 1}, 15, 21, 3)
    assert later - earlier == Rpcs({"CLOSE": 2, "READ": 1}, 5, 1, 2)


def test_json_gives_them_back() -> None:
    rpcs = parse(MOUNTSTATS, "/mnt/a")
    assert Rpcs.from_json(rpcs.as_json()) == rpcs
