"""Wheels of this machine that a lock names are brought to the host."""

import filecmp
import hashlib
import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from efsprov.builders.ssh.host import Host
from efsprov.builders.ssh.local_files import bring_local_files, local_path
from efsprov.core.errors import FetchError
from efsprov.core.lock import LockedFile, parse_lock

LOCK = """lock-version = "1.0"
created-by = "efsprov"

[[packages]]
name = "far"
version = "1.0"
wheels = [{{name = "far-1.0-py3-none-any.whl", url = "https://example.com/far-1.0-py3-none-any.whl", hashes = {{sha256 = "{zeros}"}}}}]

[[packages]]
name = "near"
version = "1.0"
wheels = [{{name = "near-1.0-py3-none-any.whl", url = "{url}", hashes = {{sha256 = "{sha256}"}}}}]
"""


def lock_of(path: Path, content: bytes) -> str:
    return LOCK.format(zeros="0" * 64, url=path.as_uri(), sha256=hashlib.sha256(content).hexdigest())


def test_they_are_there_once_and_the_lock_stays_the_same_lock(target, sshd, make_request, tmp_path):
    wheel = tmp_path / "a folder" / "near-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"near" * 1000)
    request = make_request(lock=lock_of(wheel, wheel.read_bytes()))
    with Host(target) as host:
        moved = bring_local_files(host, request)
        far, near = parse_lock(moved.lock).packages
        place = Path(unquote(urlsplit(near.file.url).path))
        assert place.is_relative_to(sshd.cache)
        assert place.read_bytes() == wheel.read_bytes()
        assert far.file.url == "https://example.com/far-1.0-py3-none-any.whl"
        assert moved.lock_digest == request.lock_digest
        wheel.unlink()
        assert bring_local_files(host, request) == moved, "known by its hash, it is not sent again"


def test_an_upload_renews_the_lease_of_the_host(target, make_request, tmp_path):
    wheel, lease = tmp_path / "near-1.0-py3-none-any.whl", tmp_path / "lease"
    wheel.write_bytes(os.urandom(1 << 20) * 70)  # arrives in three pieces
    request = make_request(lock=lock_of(wheel, wheel.read_bytes()))
    lease.touch()
    os.utime(lease, (1, 1))
    with Host(target) as host:
        moved = bring_local_files(host, request, lease=str(lease))
    assert lease.stat().st_mtime > 1
    (near,) = [package for package in parse_lock(moved.lock).packages if package.name == "near"]
    assert filecmp.cmp(unquote(urlsplit(near.file.url).path), wheel, shallow=False)


def test_a_file_that_has_changed_or_is_gone_is_reported(target, make_request, tmp_path):
    wheel = tmp_path / "near-1.0-py3-none-any.whl"
    wheel.write_bytes(b"other")
    with Host(target) as host:
        with pytest.raises(FetchError, match="has changed since the lock was made"):
            bring_local_files(host, make_request(lock=lock_of(wheel, b"what it was, once")))
        wheel.unlink()
        with pytest.raises(FetchError, match="cannot be read"):
            bring_local_files(host, make_request(lock=lock_of(wheel, b"gone before it was sent")))


def test_a_lock_without_local_files_asks_the_host_nothing(make_request):
    request = make_request()

    class Nowhere:
        def execute(self, *arguments):
            raise AssertionError("it was asked")

    assert bring_local_files(Nowhere(), request) is request


@pytest.mark.parametrize(
    ("url", "path"),
    [("https://example.com/x.whl", None), ("file:///a%20b/x.whl", "/a b/x.whl"), ("/a/x.whl", "/a/x.whl")],
)
def test_local_is_what_lies_on_this_machine(url, path):
    assert local_path(LockedFile("x.whl", url, "0" * 64)) == (Path(path) if path else None)


def test_threads_do_not_share_names(target, make_request, tmp_path):
    wheel = tmp_path / "near-1.0-py3-none-any.whl"
    wheel.write_bytes(b"both at once" * 100000)
    request, results = make_request(lock=lock_of(wheel, wheel.read_bytes())), []

    def bring():
        with Host(target) as host:
            results.append(bring_local_files(host, request).lock)

    threads = [threading.Thread(target=bring) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3
    assert len(set(results)) == 1
