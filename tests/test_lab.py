import pytest

from tests.lab import Guest
from tests.lab.fixtures import nfs_guest, shared_guest

__all__ = ["nfs_guest", "shared_guest"]
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def test_what_one_client_writes_the_other_reads(nfs_guest: Guest):
    nfs_guest.run("a", ["bash", "-c", "mkdir $MOUNT/folder && echo hello > $MOUNT/folder/file"], check=True)
    assert nfs_guest.run("b", ["bash", "-c", "cat $MOUNT/folder/file"], check=True).stdout == "hello\n"
    assert nfs_guest.run("server", ["bash", "-c", "cat $EXPORT/folder/file"], check=True).stdout == "hello\n"


def test_rpcs_are_counted_by_operation(nfs_guest: Guest):
    before = nfs_guest.rpcs("a")
    nfs_guest.run("a", ["bash", "-c", "cd $MOUNT; for i in {1..30}; do echo 123456789 > $i; done"], check=True)
    spent = nfs_guest.rpcs("a") - before
    assert (spent.ops["OPEN"], spent.ops["CLOSE"], spent.ops["WRITE"]) == (30, 30, 30)
    assert spent.write_bytes == 300
    assert spent.total == sum(spent.ops.values()) >= 90
