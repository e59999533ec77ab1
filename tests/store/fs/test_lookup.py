from pathlib import Path

import pytest

from efsprov.store.fs.lookup import is_directory, link_text, lstat, open_directory


def test_looks_at_the_name_itself(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert is_directory(tmp_path / "folder")
    assert not is_directory(tmp_path / "link")
    assert link_text(tmp_path / "link") == "folder"
    assert link_text(tmp_path / "folder") == ""


@pytest.mark.parametrize("path", ["missing", "missing/below"])
def test_what_is_missing_is_none(tmp_path, path):
    assert lstat(tmp_path / path) is None
    assert link_text(tmp_path / path) is None
    assert not is_directory(tmp_path / path)


def test_what_cannot_be_looked_at_is_raised(tmp_path):
    (tmp_path / "file").write_text("")
    for ask in (lstat, link_text, is_directory):
        with pytest.raises(NotADirectoryError):
            ask(tmp_path / "file" / "below")


def test_closes_what_it_opens(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        lstat(tmp_path)
        with pytest.raises(KeyError), open_directory(tmp_path):
            raise KeyError
    assert len(list(Path("/proc/self/fd").iterdir())) == before
