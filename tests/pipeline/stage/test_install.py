import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from packaging.version import Version

from efsprov.core.errors import BuildError
from efsprov.core.record import parse_record
from efsprov.core.target import lambda_target
from efsprov.pipeline.stage.hashing import hash_files
from efsprov.pipeline.stage.install import PIP_FLOOR, WheelFile, find_pip, forget_machine, install
from efsprov.pipeline.tools.installer_settings import InstallerSection, InstallerSettings, installer_settings
from efsprov.pipeline.tools.uv import run_uv
from tests.pipeline.forge import locked
from tests.wheelhouse import build_wheel

TARGET = lambda_target("python3.11", "x86_64")
ENTRY_POINTS = {"tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n"}


@pytest.fixture
def put(tmp_path):
    def put(*wheels, target=TARGET, hashes=None, python=sys.executable, **more):
        files = []
        for wheel in wheels:
            package = locked(wheel)
            files.append(WheelFile(package.name, wheel, hashes or package.file.sha256))
        site = tmp_path / "site"
        (tmp_path / "scratch").mkdir(exist_ok=True)
        settings = InstallerSettings({"HOME": str(tmp_path), "UV_TARGET": "/nowhere", "UV_CONSTRAINT": "/nowhere"})
        install(
            files, site, target=target, python=Path(python), settings=settings, cache=tmp_path / "uv",
            scratch=tmp_path / "scratch", **more,
        )  # fmt: skip
        return site

    return put


def texts(site):
    return {str(p.relative_to(site)): p.read_text() for p in site.rglob("*") if p.is_file()}


def test_the_site_tells_nothing_of_this_machine(put, tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "def main(): pass\n", **ENTRY_POINTS})
    found = texts(put(wheel))
    assert set(found) == {
        "bin/tiny", "tiny.py",
        *(f"tiny-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "INSTALLER", "entry_points.txt")),
    }  # fmt: skip
    assert found["bin/tiny"].startswith("#!/usr/bin/env python3.11\n")
    for path, content in found.items():
        assert str(tmp_path) not in content, path
        assert sys.prefix not in content, path


def test_record_is_true_of_what_is_there(put, tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "def main(): pass\n", **ENTRY_POINTS})
    site = put(wheel)
    found = texts(site)
    record = parse_record(found["tiny-1.0.dist-info/RECORD"], dist_info="tiny-1.0.dist-info", where="RECORD")
    assert set(record) == set(found)
    hashed = hash_files(site, dict.fromkeys(found, 1), {})
    assert all(not entry.digest or entry.digest == hashed[path].sha256 for path, entry in record.items())


def test_the_same_wheels_give_the_same_site(put, tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "", **ENTRY_POINTS})
    first = texts(put(wheel))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "site").rename(tmp_path / "before")
    assert texts(put(wheel.rename(moved / wheel.name))) == first


def test_the_installers_cache_is_not_written_to(put, tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "x = 1\n", "tiny-1.0.data/scripts/run": "#!python\n"})
    put(wheel)
    (tmp_path / "site").rename(tmp_path / "before")
    assert texts(put(wheel)) == texts(tmp_path / "before")


def test_wheels_of_another_machine(put, tmp_path):
    target = lambda_target("python3.13", "arm64")
    wheels = [
        build_wheel(tmp_path, "aa", "1.0", tag="cp313-cp313-manylinux_2_34_aarch64"),
        build_wheel(tmp_path, "bb", "1.0", tag="cp37-abi3-manylinux_2_28_aarch64"),
        build_wheel(tmp_path, "cc", "1.0", tag="cp313-cp313-linux_aarch64"),
    ]
    assert {"aa", "bb", "cc"} <= {p.name for p in put(*wheels, target=target).iterdir()}


def test_wheels_between_the_platforms_that_uv_knows(put, tmp_path):
    assert (put(build_wheel(tmp_path, "aa", "1.0", tag="cp311-cp311-manylinux_2_24_x86_64")) / "aa").is_dir()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_another_hash_is_refused(put, tmp_path, installer, python_with_pip):
    with pytest.raises(BuildError, match=f"{installer} could not install") as caught:
        put(build_wheel(tmp_path, "tiny", "1.0"), hashes="0" * 64, installer=installer, python=python_with_pip)
    assert "hash" in caught.value.message.lower()


def test_a_long_interpreter_path_in_a_command(tmp_path):
    site = tmp_path / "site"
    (site / "bin").mkdir(parents=True)
    (site / "bin" / "run").write_text("#!/bin/sh\n'''exec' '/a/long/path/python3.11' \"$0\" \"$@\"\n' '''\nprint(1)\n")
    (site / "bin" / "other").write_text("#!/bin/sh\necho\n")
    (site / "bin" / "binary").write_bytes(b"\x7fELF\0")
    forget_machine(site, TARGET)
    assert (site / "bin" / "run").read_text() == "#!/usr/bin/env python3.11\nprint(1)\n"
    assert (site / "bin" / "other").read_text() == "#!/bin/sh\necho\n"
    assert (site / "bin" / "binary").read_bytes() == b"\x7fELF\0"


@pytest.fixture(scope="session")
def python_with_pip(tmp_path_factory):
    """An interpreter whose pip is new enough: the one that runs the tests, or one with a pip from the index."""
    with suppress(BuildError):
        return Path(find_pip(Path(sys.executable))[0])
    folder = tmp_path_factory.mktemp("python-with-pip")
    settings = installer_settings(InstallerSection(), os.environ, folder=folder)
    python = folder / "bin" / "python"
    assert run_uv(["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], settings).ok
    made = run_uv(["pip", "install", "--python", str(python), f"pip>={PIP_FLOOR}"], settings)
    assert made.ok, made.stderr
    return python


def test_pip_installs_the_same_files(put, tmp_path, python_with_pip):
    files = {"tiny.py": "def main(): pass\n", "tiny-1.0.data/data/share/x.cfg": "", **ENTRY_POINTS}
    wheel = build_wheel(tmp_path, "tiny", "1.0", files, tag="cp311-abi3-manylinux_2_17_x86_64")
    by_uv = texts(put(wheel))
    (tmp_path / "site").rename(tmp_path / "by-uv")
    by_pip = texts(put(wheel, installer="pip", python=python_with_pip))
    assert set(by_pip) == set(by_uv)
    assert by_pip["bin/tiny"].startswith("#!/usr/bin/env python3.11\n")
    assert {line.split(",")[0] for line in by_pip["tiny-1.0.dist-info/RECORD"].splitlines()} == set(by_pip)


def test_an_old_pip_is_refused(tmp_path):
    """A program that says that it is an old pip, as both interpreters that may be asked."""
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 'pip 23.2.1 from /x (python 3.11)'\n")
    old.chmod(0o755)
    own = subprocess.run([sys.executable, "-I", "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    if own.returncode == 0 and Version(own.stdout.split()[1]) >= PIP_FLOOR:
        assert find_pip(old)[0] == sys.executable
    else:
        with pytest.raises(BuildError, match=r"pip 23\.2\.1"):
            find_pip(old)
