import errno
import os

import pytest

from efsprov.store.fs.atomic import write_atomically, write_file
from efsprov.store.fs.fileops import FileOps
from tests.store.faulty_ops import Fault, FaultyOps

TX = "0123456789abcdef"


def test_writes_over_what_was_there(tmp_path):
    for text in (b"first and longer", b"second"):
        write_atomically(FileOps(), tmp_path / "x", text, TX)
        assert (tmp_path / "x").read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_writes_what_the_kernel_takes_in_pieces(tmp_path):
    class Stingy(FileOps):
        def write(self, fd, data):
            return super().write(fd, data[:3])

    write_file(Stingy(), tmp_path / "x", b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, at, code):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(OSError, match=os.strerror(code)):
        write_atomically(FaultyOps(Fault("error", at, code)), tmp_path / "x", b"new", TX)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EEXIST, errno.EIO])
def test_a_rename_whose_reply_was_lost_happened(tmp_path, code):
    write_atomically(FaultyOps(Fault("lost-reply", 5, code)), tmp_path / "x", b"new", TX)
    assert (tmp_path / "x").read_bytes() == b"new"


def test_an_interrupt_leaves_nothing_beside_it(tmp_path):
    class Interrupted(FileOps):
        def fsync(self, fd):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(Interrupted(), tmp_path / "x", b"new", TX)
    assert list(tmp_path.iterdir()) == []
