import errno
import os

import pytest

from efsprov.store.copying.plan import Found
from efsprov.store.copying.scan import remove, scan
from efsprov.store.fs.fileops import FileOps
from tests.store.copy_trees import make_tree
from tests.store.faulty_ops import FaultyOps


@pytest.fixture
def top(tmp_path):
    make_tree(tmp_path / "top", {"a/b/c": b"123", "a/d": b"", "e": b"12"}, {"e": 0o600})
    (tmp_path / "top/link").symlink_to("a")
    os.link(tmp_path / "top/e", tmp_path / "top/a/e2")
    return tmp_path / "top"


def test_scan_finds_everything(top):
    assert scan(top) == {
        "a": Found("folder"),
        "a/b": Found("folder"),
        "a/b/c": Found("file", 3, 0o644),
        "a/d": Found("file", 0, 0o644),
        "a/e2": Found("file", 2, 0o600, 2),
        "e": Found("file", 2, 0o600, 2),
        "link": Found("other", 1, 0o777),
    }


def test_remove_takes_files_then_folders(top):
    remove(top, files=["a/b/c", "a/d", "a/e2", "link"], folders=["a/b", "a"], ops=FileOps())
    assert scan(top) == {"e": Found("file", 2, 0o600)}


def test_what_is_gone_already_is_fine(top):
    remove(top, files=["nothing", "a/b/c"], folders=["a/b", "a/nothing"], ops=FileOps())
    assert "a/b" not in scan(top)


def test_a_lost_reply_is_fine_and_a_refusal_is_not(top):
    class Lost(FaultyOps):
        def around(self, name, do):
            super().around(name, do)
            raise FileNotFoundError(errno.ENOENT, "gone")

    remove(top, files=["a/b/c"], folders=["a/b"], ops=Lost())
    with pytest.raises(OSError, match="not empty"):
        remove(top, files=[], folders=["a"], ops=FileOps())
