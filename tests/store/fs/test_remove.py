import errno
import os
from pathlib import Path

import pytest

from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.remove import remove_tree
from tests.store.faulty_ops import Fault, FaultyOps


@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "empty").mkdir()
    for name in ("x", "a/y", "a/b/z"):
        (top / name).write_bytes(b"x" * 4096)
    (top / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("")
    return top


def test_removes_all_and_follows_no_link(tree):
    assert remove_tree(FileOps(), tree).left == ()
    assert not tree.exists()
    assert (tree.parent / "outside" / "file").exists()


def test_counts_what_becomes_free_but_not_what_has_another_name(tree):
    (tree.parent / "kept").hardlink_to(tree / "x")
    freed = sum((tree / name).stat().st_blocks * 512 for name in ("a/y", "a/b/z"))
    assert remove_tree(FileOps(), tree).freed in range(freed, freed + 4097)  # a link may take a block


def test_a_file_or_nothing_is_fine_too(tree):
    assert remove_tree(FileOps(), tree / "x").left == ()
    assert not (tree / "x").exists()
    assert remove_tree(FileOps(), tree / "x").left == ()


def test_what_cannot_be_removed_is_reported_with_all_above_it(tree):
    """A file in use on NFS becomes .nfsXXXX, and its folder ENOTEMPTY (measured)."""

    class InUse(FileOps):
        def unlink(self, path, *, dir_fd=None):
            if path.endswith("/z"):
                Path(path).rename(path.removesuffix("z") + ".nfs0001")
            else:
                super().unlink(path, dir_fd=dir_fd)

    left = dict(remove_tree(InUse(), tree).left)
    assert {str(path.relative_to(tree.parent)) for path in left} == {"top/a/b", "top/a", "top"}
    assert set(left.values()) == {os.strerror(errno.ENOTEMPTY)}
    assert [str(p.relative_to(tree)) for p in sorted(tree.rglob("*"))] == ["a", "a/b", "a/b/.nfs0001"]
    assert remove_tree(FileOps(), tree).left == ()


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EIO, errno.EEXIST])
def test_lost_replies_are_no_failures(tree, code):
    for path in ("x", "a/b/z", "a/b", "a/y", "a", "link", "empty", ""):
        assert remove_tree(FaultyOps(Fault("lost-reply", 1, code)), tree / path).left == ()
        assert not (tree / path).exists()


def test_a_folder_that_cannot_be_listed_is_reported(tree):
    class Vanishing(FileOps):
        def unlink(self, path, *, dir_fd=None):
            raise OSError(errno.EACCES, "no")

    assert {why for _, why in remove_tree(Vanishing(), tree).left} == {"no", os.strerror(errno.ENOTEMPTY)}
