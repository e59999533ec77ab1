import hashlib
import os
import threading

import pytest

from efsprov.core.errors import FetchError
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.pipeline.resolve.download_sizes import with_sizes
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.wheel_cache import WheelCache, fetch
from tests.pipeline.web import serve

SETTINGS = InstallerSettings({"UV_HTTP_RETRIES": "0"})


@pytest.fixture
def web():
    with serve() as web:
        yield web


@pytest.fixture
def cache(tmp_path):
    return WheelCache(tmp_path / "cache")


def package(web, name, content, *, size=None, served=None):
    filename = f"{name}-1-py3-none-any.whl"
    web.files[f"/{filename}"] = content if served is None else served
    file = LockedFile(filename, f"{web.url}/{filename}", hashlib.sha256(content).hexdigest(), size)
    return LockedPackage(name, "1", (file,))


def test_files_are_fetched_once(web, cache):
    contents = {name: os.urandom(50_000) for name in ("a", "b", "c")}
    lock = Lock(tuple(package(web, name, content) for name, content in contents.items()))
    for _ in range(2):
        found = fetch(lock, cache, SETTINGS)
        assert {name: path.read_bytes() for name, path in found.items()} == contents
        assert {path.name for path in found.values()} == {f"{name}-1-py3-none-any.whl" for name in contents}
    assert len(web.requested()) == 3


def test_progress_ends_at_the_whole(web, cache):
    lock = Lock(
        tuple(
            package(web, name, b"x" * 3_000_000 + name.encode(), size=size)
            for name, size in [("a", 3_000_001), ("b", None)]
        )
    )
    result = []
    fetch(lock, cache, SETTINGS, report=lambda done, total: result.append((done, total)))
    assert result[-1] == (6_000_002, 6_000_002)
    assert all(done <= total for done, total in result)
    assert sorted(result) == result


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_goes_on_where_it_broke_off(web, cache, ranges):
    content = os.urandom(300_000)
    lock = Lock((package(web, "a", content, size=len(content)),))
    web.breaks_after = [100_000, 0]
    with pytest.raises(FetchError, match="broke off"):
        fetch(lock, cache, SETTINGS)
    part = cache.path(lock.packages[0].file).with_name("part")
    kept = part.stat().st_size
    assert 0 < kept <= 100_000
    web.ranges = ranges
    web.requests.clear()
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == content
    assert [headers.get("range") for _, _, headers in web.requests] == [f"bytes={kept}-"]
    assert not part.exists()


def test_a_connection_that_breaks_off_but_brings_something_is_taken_up_again(web, cache):
    content = os.urandom(300_000)
    web.breaks_after = [100_000, 100_000]
    lock = Lock((package(web, "a", content, size=len(content)),))
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == content
    assert len(web.requests) == 3


def test_a_file_that_was_whole_when_the_run_was_killed_is_not_fetched_again(web, cache):
    content = os.urandom(10_000)
    lock = Lock((package(web, "a", content, size=len(content)),))
    part = cache.path(lock.packages[0].file).with_name("part")
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == content
    assert web.requests == []


@pytest.mark.parametrize("size", [None, 7])
def test_another_hash_is_refused_and_leaves_nothing_to_go_on_from(web, cache, size):
    good = b"content"
    lock = Lock((package(web, "a", good, size=size, served=b"tampere"),))
    with pytest.raises(FetchError, match="another hash than the lock says"):
        fetch(lock, cache, SETTINGS)
    web.files["/a-1-py3-none-any.whl"] = good
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == good


def test_what_was_kept_of_another_file_is_not_built_upon(web, cache):
    content = b"y" * 1000
    lock = Lock((package(web, "a", content),))
    part = cache.path(lock.packages[0].file).with_name("part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 500)
    with pytest.raises(FetchError, match="another hash"):
        fetch(lock, cache, SETTINGS)
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == content


def test_a_file_in_the_cache_of_another_size_is_fetched_again(web, cache):
    lock = Lock((package(web, "a", b"content", size=7),))
    path = fetch(lock, cache, SETTINGS)["a"]
    path.write_bytes(b"cut")
    assert fetch(lock, cache, SETTINGS)["a"].read_bytes() == b"content"


def test_one_file_that_fails_ends_the_others(web, cache):
    lock = Lock((package(web, "a", b"a"), package(web, "b", b"b")))
    del web.files["/a-1-py3-none-any.whl"]
    with pytest.raises(FetchError, match="404"):
        fetch(lock, cache, SETTINGS)


def test_two_runs_fetch_a_file_once(web, cache):
    content = os.urandom(2_000_000)
    lock = Lock((package(web, "a", content, size=len(content)),))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(lock, cache, SETTINGS)["a"].read_bytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [content] * 4
    assert len(web.requested()) == 1


def test_local_files_are_copied_and_checked(cache, tmp_path):
    source = tmp_path / "torch-2.13.0+cpu-py3-none-any.whl"
    source.write_bytes(b"content")
    file = LockedFile(source.name, source.as_uri(), hashlib.sha256(b"content").hexdigest())
    lock = Lock((LockedPackage("torch", "2.13.0+cpu", (file,)),))
    path = fetch(lock, cache, SETTINGS)["torch"]
    source.write_bytes(b"changed")
    assert path.read_bytes() == b"content"
    path.unlink()
    with pytest.raises(FetchError, match="another hash"):
        fetch(lock, cache, SETTINGS)
    source.unlink()
    with pytest.raises(FetchError, match="is not on this machine"):
        fetch(lock, cache, SETTINGS)


def test_a_cache_that_cannot_be_written_is_named(web, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match="cannot be kept in the wheel cache"):
        fetch(Lock((package(web, "a", b"a"),)), WheelCache(tmp_path / "file" / "cache"), SETTINGS)


def test_sizes_are_asked_for_without_downloading(web, tmp_path):
    local = tmp_path / "l-1-py3-none-any.whl"
    local.write_bytes(b"12345")
    packages = [package(web, "a", b"x" * 100), package(web, "b", b"x" * 10, size=10), package(web, "gone", b"x")]
    del web.files["/gone-1-py3-none-any.whl"]
    packages.append(LockedPackage("l", "1", (LockedFile(local.name, local.as_uri(), "0" * 64),)))
    sized = with_sizes(Lock(tuple(packages)), SETTINGS)
    assert {p.name: p.file.size for p in sized.packages} == {"a": 100, "b": 10, "gone": None, "l": 5}
    assert sorted(web.requested("HEAD")) == ["/a-1-py3-none-any.whl", "/gone-1-py3-none-any.whl"]
    assert web.requested("GET") == []
