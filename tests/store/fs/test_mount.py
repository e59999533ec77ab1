"""What a folder lies on, against the kernel's own word."""

import os
import subprocess
from pathlib import Path

import pytest

from efsprov.store.fs.mount import Mount, find_mount


@pytest.mark.parametrize("path", ["/proc/self", "/sys/kernel", "/dev", "/", str(Path(__file__).parent)])
def test_it_is_what_findmnt_says(path):
    told = subprocess.run(["stat", "--format", "%m", path], capture_output=True, text=True, check=True).stdout.strip()
    assert find_mount(Path(path)).at == os.path.realpath(told)


def test_proc_is_proc_and_no_other_machine_mounts_it():
    assert find_mount(Path("/proc/self")).kind == "proc"
    assert not find_mount(Path("/proc/self")).is_network
    assert Mount("nfs4", "/mnt/efs").is_network


def test_a_path_that_is_not_there_lies_on_what_its_parent_does(tmp_path):
    assert find_mount(tmp_path / "no" / "such") == find_mount(tmp_path)
