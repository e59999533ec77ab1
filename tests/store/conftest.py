"""A root of its own for each test, and builds to fill it with."""

import pytest

from tests.store.minisync import build, open_channel


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def channel(root):
    """The channel `framework` of a root that nobody made yet."""
    return open_channel(root)


@pytest.fixture
def builds(tmp_path):
    """Builds by number, made when they are asked for."""

    class Builds(dict):
        def __missing__(self, number):
            self[number] = build(tmp_path / "builds", number)
            return self[number]

    return Builds()


@pytest.fixture
def snapshot(root):
    """Everything below the root, to the byte and the timestamp."""

    def take():
        found = {}
        for path in sorted([root, *root.rglob("*")]):
            status = path.lstat()
            what = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_nlink, what)
        return found

    return take
