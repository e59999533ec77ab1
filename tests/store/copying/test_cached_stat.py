import os

import pytest

from efsprov.store.copying.cached_stat import CachedStat, cached_stat


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("size", [0, 5, 5 << 30])
def test_tells_what_stat_tells(tmp_path, folder, size):
    path = tmp_path / "näme"
    with path.open("wb") as file:
        file.truncate(size)
    path.chmod(0o751)
    os.link(path, tmp_path / "second")
    os.utime(path, ns=(7, 1_234_567_890_123_456_789))
    status = path.stat()
    assert cached_stat("näme", folder) == CachedStat(status.st_mode, size, 2, status.st_ino, status.st_mtime_ns)


def test_does_not_follow_links(tmp_path, folder):
    (tmp_path / "link").symlink_to("/")
    assert cached_stat("link", folder).mode == (tmp_path / "link").lstat().st_mode


def test_nothing_is_reported_of_what_is_not_there(folder):
    assert cached_stat("nothing", folder) is None


def test_other_errors_are_raised(folder):
    with pytest.raises(OSError, match="File name too long"):
        cached_stat("x" * 300, folder)
