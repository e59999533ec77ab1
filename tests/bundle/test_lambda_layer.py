"""A release's packages as layers: where Lambda looks, no more than it unpacks, the same bytes every time."""

import os
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.bundle.lambda_layer import plan_layers, write_layer
from efsprov.core.errors import IntegrityError, UsageError
from efsprov.core.filelist import FileEntry
from efsprov.core.target import Target
from efsprov.emit.archive import MAX_UNZIPPED
from efsprov.store.journal import read_state
from efsprov.store.verify import read_files, read_manifest

LAMBDA = Target.parse("python3.11-x86_64")
TOP = "python/lib/python3.11/site-packages/"


def entry(path: str, size: int) -> FileEntry:
    return FileEntry(path, size, "0" * 64)


@settings(deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,3}/[a-z]{1,3}\.py", fullmatch=True), st.integers(0, 9 << 20), max_size=25),
    st.integers(1, 5),
)
def test_each_file_of_the_site_is_in_one_layer_and_packages_stay_whole(sizes, parts):
    files = [*(entry(f"site/{path}", size) for path, size in sizes.items()), entry("pylock.toml", 5)]
    if sum(sizes.values()) > MAX_UNZIPPED:
        return
    plans = plan_layers(files, LAMBDA, parts=parts)
    placed = [name for plan in plans for name, _ in plan.files]
    assert sorted(placed) == sorted(TOP + path for path in sizes)
    packages = [name for plan in plans for name in plan.packages]
    assert len(packages) == len(set(packages))
    assert len(plans) <= parts
    assert plan_layers(tuple(reversed(files)), LAMBDA, parts=parts) == plans


def test_what_does_not_fit_is_refused_with_what_takes_the_room_and_what_would_save():
    files = [
        entry("site/tensorflow/lib.so", 200 << 20),
        entry("site/tensorflow/include/x.h", 60 << 20),
        entry("site/six.py", 9),
    ]
    with pytest.raises(UsageError) as caught:
        plan_layers(files, LAMBDA)
    assert "272,629,769 bytes; Lambda takes 262,144,000" in caught.value.message
    assert "272.6 MB  tensorflow" in caught.value.message
    assert "62.9 MB  less with --slim headers" in caught.value.message
    assert "efsprov attach" in caught.value.hint
    assert plan_layers(files[:1], LAMBDA)
    with pytest.raises(UsageError, match="60,000,000 are kept for others"):
        plan_layers(files[:1], LAMBDA, reserve=60_000_000)


def test_bytecode_may_be_left_out_and_the_refusal_says_what_that_saves():
    files = [
        entry("site/scipy/lib.so", 240 << 20),
        entry("site/scipy/__pycache__/__init__.cpython-311.pyc", 30 << 20),
        entry("site/__pycache__/six.cpython-311.pyc", 5),
    ]
    with pytest.raises(UsageError, match=r"31\.5 MB  less with --no-bytecode"):
        plan_layers(files, LAMBDA)
    (plan,) = plan_layers(files, LAMBDA, bytecode=False)
    assert [name for name, _ in plan.files] == [TOP + "scipy/lib.so"]


def test_a_release_for_a_host_is_no_layer():
    with pytest.raises(UsageError, match="is for a runtime of Lambda's"):
        plan_layers([entry("site/a.py", 1)], Target.parse("python3.11-x86_64-glibc2.36"))


@pytest.fixture
def release(channel):
    named = read_state(channel).current
    return channel.release_path(named), read_files(channel, named, read_manifest(channel, named))


def test_the_same_release_gives_the_same_bytes_and_its_files(release, tmp_path):
    path, files = release
    (plan,) = plan_layers(files, LAMBDA)
    written = [write_layer(path, plan, tmp_path / name) for name in ("one.zip", "two.zip")]
    assert written[0] == written[1]
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        inside = {info.filename: archive.read(info) for info in archive.infolist()}
    assert inside == {
        TOP + e.path.removeprefix("site/"): (path / e.path).read_bytes() for e in files if e.path.startswith("site/")
    }


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(b"x" * p.stat().st_size), lambda p: p.write_bytes(b""), os.unlink]
)
def test_a_damaged_file_leaves_no_layer(release, tmp_path, damage):
    path, files = release
    (plan,) = plan_layers(files, LAMBDA)
    damage(path / "site/framework/part.py")
    with pytest.raises(IntegrityError):
        write_layer(path, plan, tmp_path / "one.zip")
    assert not (tmp_path / "one.zip").exists()
