"""A file of a release, read while it is held against the list."""

import hashlib

import pytest

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.release_file import read_release_file

CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def entry(tmp_path):
    (tmp_path / "data.bin").write_bytes(CONTENT)
    return FileEntry("data.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_a_whole_file_is_read(tmp_path, entry):
    assert b"".join(read_release_file(tmp_path, entry)) == CONTENT


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT * 2, CONTENT[::-1]])
def test_a_file_that_is_another_is_refused_at_its_end(tmp_path, entry, content):
    (tmp_path / "data.bin").write_bytes(content)
    read = []
    with pytest.raises(IntegrityError, match=r"data\.bin is not what the release's file list says"):
        read.extend(read_release_file(tmp_path, entry))
    assert sum(map(len, read)) <= entry.size


def test_a_missing_file_is_refused_and_a_hash_may_be_left_out(tmp_path, entry):
    (tmp_path / "data.bin").write_bytes(CONTENT[::-1])
    assert b"".join(read_release_file(tmp_path, entry, hashed=False)) == CONTENT[::-1]
    (tmp_path / "data.bin").unlink()
    with pytest.raises(IntegrityError):
        list(read_release_file(tmp_path, entry, hashed=False))
