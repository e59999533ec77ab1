"""What is hashed while an installer is at work counts only if it is what the check finds in the end."""

import hashlib
import time
from zipfile import ZipFile

import pytest

from efsprov.core.target import lambda_target
from efsprov.pipeline.stage.check_site import WrongContentError, check_site
from efsprov.pipeline.stage.hash_ahead import HashAhead
from efsprov.pipeline.stage.inspect_wheel import inspect
from tests.pipeline.forge import locked
from tests.wheelhouse import build_wheel

TARGET = lambda_target("python3.11", "x86_64")
LARGE = {"tiny/large.bin": b"1" * 100_000, "tiny/larger.bin": b"2" * 200_000}


@pytest.fixture
def wheel(tmp_path):
    files = {name: content.decode() for name, content in LARGE.items()}
    path = build_wheel(tmp_path, "tiny", "1.0", {**files, "tiny/__init__.py": "x = 1\n"})
    return inspect(path, locked(path))


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site" / "tiny").mkdir(parents=True)
    return tmp_path / "site"


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def test_only_large_files_are_waited_for(wheel, site):
    assert dict(wheel.large) == {name: len(content) for name, content in LARGE.items()}
    (site / "tiny" / "__init__.py").write_text("x = 1\n")
    for name, content in LARGE.items():
        (site / name).write_bytes(content)
    with HashAhead(site) as ahead:
        ahead.start([wheel])
        until(lambda: ahead.count == 2)
        found = ahead.stop()
    assert {path: file.sha256 for path, file in found.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in LARGE.items()
    }


def test_what_is_not_there_yet_or_half_written_is_inspected_again(wheel, site):
    with HashAhead(site) as ahead:
        ahead.start([wheel])
        (site / "tiny/large.bin").write_bytes(b"")
        (site / "tiny/larger.bin").write_bytes(LARGE["tiny/larger.bin"][:70_000])
        assert ahead.count == 0
        for name, content in LARGE.items():
            (site / name).write_bytes(content)
        until(lambda: ahead.count == 2)
        assert {path: file.size for path, file in ahead.stop().items()} == dict(wheel.large)


def test_what_never_comes_keeps_nobody_waiting(wheel, site):
    with HashAhead(site) as ahead:
        ahead.start([wheel])
        assert ahead.stop() == {}
    with HashAhead(site) as never_started:
        assert never_started.stop() == {}


def test_a_file_that_changed_after_it_was_hashed_is_hashed_again(tmp_path, wheel, site):
    for name, entry in {**LARGE, "tiny/__init__.py": b"x = 1\n"}.items():
        (site / name).write_bytes(entry)
    for name in wheel.files.keys() - LARGE.keys() - {"tiny/__init__.py"}:
        target = site / name
        target.parent.mkdir(exist_ok=True)
        with ZipFile(next(tmp_path.glob("*.whl"))) as archive:
            target.write_bytes(archive.read(name))
    with HashAhead(site) as ahead:
        ahead.start([wheel])
        until(lambda: ahead.count == 2)
        known = ahead.stop()
    assert check_site(site, [wheel], TARGET, known=known).hashes["tiny/large.bin"] == known["tiny/large.bin"].sha256
    with (site / "tiny/large.bin").open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(WrongContentError, match=r"tiny/large.bin"):
        check_site(site, [wheel], TARGET, known=known)
