import os
import re
import sys
import tarfile
from pathlib import Path

import pytest

from efsprov.core.errors import BuildError, FetchError, GateError
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.target import host_target, lambda_target
from efsprov.pipeline.stage.hashing import hash_files
from efsprov.pipeline.stage.stage import stage
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from efsprov.pipeline.tools.interpreter import own_interpreter
from efsprov.pipeline.tools.progress import ProgressReporter
from tests.pipeline.forge import elf, lock_of, with_extra, with_record
from tests.wheelhouse import build_wheel

AL2 = lambda_target("python3.11", "x86_64")


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    events = []

    def put(lock, target=AL2, **more):
        put.count += 1
        scratch = tmp_path / f"scratch-{put.count}"
        scratch.mkdir()
        settings = installer_settings(
            InstallerSection(), {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, folder=tmp_path
        )
        settings = more.pop("settings", settings)
        events.clear()
        put.site = scratch / "site"
        return stage(lock, target, put.site, scratch, ProgressReporter(events.append), settings=settings, **more)

    put.count, put.events = 0, events
    return put


def outcome(put, step):
    return next(e.message for e in put.events if e.step == step and e.state == "finished")


def test_a_release_from_wheels(put, tmp_path):
    lock = lock_of(
        build_wheel(tmp_path, "tiny", "1.0", requires=["helper"]),
        build_wheel(tmp_path, "helper", "2.0", {"helper_mod/__init__.py": "", "helper_mod/a.so": elf()}),
    )
    staged = put(lock)
    assert staged.import_names == ("tiny",)
    assert {(d.name, d.version, d.requested) for d in staged.distributions} == {
        ("tiny", "1.0", True),
        ("helper", "2.0", False),
    }
    for path, sha256 in staged.hashes.items():
        assert hash_files(put.site, {path: 1}, {})[path].sha256 == sha256
    sizes = {d.name: d.installed_size for d in staged.distributions}
    assert sizes["helper"] > 0
    assert outcome(put, "check").endswith("1 library")


def test_what_was_asked_for_is_imported(put, tmp_path):
    lock = lock_of(
        build_wheel(tmp_path, "tiny", "1.0", requires=["scikit-helper"]),
        build_wheel(tmp_path, "scikit-helper", "2.0", {"skhelper/__init__.py": "", "tests/__init__.py": ""}),
    )
    staged = put(lock, requested=("tiny", "scikit-helper", "only-on-windows"))
    assert staged.import_names == ("tiny", "skhelper")
    assert all(d.requested for d in staged.distributions)


def test_an_empty_distribution_stands_for_what_it_needs(put, tmp_path):
    lock = lock_of(
        build_wheel(tmp_path, "meta", "1.0", {}, requires=["real>=1", "other ; extra == 'more'"]),
        build_wheel(tmp_path, "real", "1.0"),
        build_wheel(tmp_path, "other", "1.0"),
    )
    assert put(lock, requested=("meta",)).import_names == ("real",)


def test_a_second_time_nothing_is_fetched(put, tmp_path):
    lock = lock_of(build_wheel(tmp_path, "tiny", "1.0"))
    first = put(lock)
    assert "all of them here already" not in outcome(put, "fetch")
    (tmp_path / "tiny-1.0-py3-none-any.whl").unlink()
    second = put(lock)
    assert "all of them here already" in outcome(put, "fetch")
    assert second == first


def test_a_wheel_that_lies_is_refused_each_time_before_it_is_unpacked(put, tmp_path):
    lock = lock_of(with_extra(tmp_path, ("../evil.py", b"")))
    for _ in range(2):
        with pytest.raises(BuildError, match="not a path inside it"):
            put(lock)
        assert not put.site.exists()


def test_a_file_changed_where_wheels_lie_unpacked_is_unpacked_again(put, tmp_path):
    lock = lock_of(
        build_wheel(tmp_path, "tiny", "1.0", {"tiny/__init__.py": "a = 1\n", "tiny/b.py": "b = 1\n"}),
        build_wheel(tmp_path, "other", "1.0"),
    )
    first = put(lock)
    for name in ("__init__.py", "b.py"):
        with (put.site / "tiny" / name).open("a") as stream:  # in place: every hard link of it changes
            stream.write("oops = 2\n")
    assert put(lock) == first
    [result] = [e.message for e in put.events if e.state == "warning"]
    assert "unpacking it again" in result
    assert put(lock) == first
    assert not [e for e in put.events if e.state == "warning"]


def test_a_wheel_whose_record_lies_about_a_file_is_refused_each_time(put, tmp_path):
    def lie(lines):
        return [re.sub(r"(tiny/__init__\.py,sha256=)[^,]*", rf"\1{'A' * 43}", line) for line in lines]

    lying = with_record(tmp_path, lie)
    for _ in range(2):
        with pytest.raises(BuildError, match="its hash differs"):
            put(lock_of(lying))


def test_a_wheel_without_record_is_no_traceback(put, tmp_path):
    from tests.pipeline.forge import rewrite

    wheel = rewrite(
        build_wheel(tmp_path, "tiny", "1.0"), lambda ms: [(m, c) for m, c in ms if not m.endswith("/RECORD")]
    )
    for _ in range(2):
        with pytest.raises(BuildError, match="RECORD is not in it"):
            put(lock_of(wheel))


def test_a_library_that_needs_too_much_is_refused(put, tmp_path):
    files = {"native/__init__.py": "", "native/a.so": elf([("libc.so.6", ["GLIBC_2.34"])])}
    wheel = build_wheel(tmp_path, "native", "1.0", files, tag="cp311-cp311-manylinux_2_17_x86_64")
    with pytest.raises(GateError, match=r"native/a\.so in native-1\.0-.*needs GLIBC_2\.34"):
        put(lock_of(wheel))


def test_a_lock_that_does_not_fit_fetches_nothing(put, tmp_path):
    wheel = build_wheel(tmp_path, "native", "1.0", {}, tag="cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(GateError, match=r"need glibc 2\.28"):
        put(lock_of(wheel))
    assert put.events == []
    assert not (tmp_path / "cache").exists()


def test_arm64_is_staged_on_any_machine(put, tmp_path):
    files = {"native/__init__.py": "", "native/a.so": elf([("libc.so.6", ["GLIBC_2.17"])], machine=183)}
    wheel = build_wheel(tmp_path, "native", "1.0", files, tag="cp313-cp313-manylinux_2_28_aarch64")
    assert put(lock_of(wheel), lambda_target("python3.13", "arm64")).import_names == ("native",)
    with pytest.raises(GateError, match="aarch64"):
        put(lock_of(wheel), lambda_target("python3.13", "x86_64"))


def test_remarks_are_reported(put, tmp_path):
    put(lock_of(build_wheel(tmp_path, "tiny", "1.0", {"tiny.py": "", "tiny.pth": ""})))
    assert [e.message for e in put.events if e.state == "warning"] == [
        "tiny.pth has no effect in a release: .pth files work in site-packages only."
    ]


def test_a_file_that_is_gone(put, tmp_path):
    lock = lock_of(wheel := build_wheel(tmp_path, "tiny", "1.0"))
    wheel.unlink()
    with pytest.raises(FetchError):
        put(lock)


PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "fromsource"
version = "1.0"
"""
# A build backend that needs nothing: PEP 517's one hook, which writes the wheel by hand.
BACKEND = """
import base64, hashlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    try:
        open({mark!r}, "w").close()
    except OSError:
        pass
    name = "fromsource-1.0-{tag}.whl"
    files = {{"fromsource.py": b"", "fromsource-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: fromsource\\nVersion: 1.0\\n",
        "fromsource-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n"}}
    lines = [p + ",sha256=" + base64.urlsafe_b64encode(hashlib.sha256(c).digest()).rstrip(b"=").decode() + ",1" for p, c in files.items()]
    files["fromsource-1.0.dist-info/RECORD"] = "\\n".join([*lines, "fromsource-1.0.dist-info/RECORD,,", ""]).encode()
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return name
"""


@pytest.fixture
def source(tmp_path):
    """Lock an sdist whose build tries to leave a mark on this machine, and makes the module `fromsource`."""

    def source(tag="py3-none-any", backend=BACKEND):
        folder = tmp_path / "fromsource-1.0"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: fromsource\nVersion: 1.0\n")
        (folder / "backend.py").write_text(backend.format(mark=str(tmp_path / "built"), tag=tag))
        archive = tmp_path / "fromsource-1.0.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, folder.name)
        sha256 = hash_files(tmp_path, {archive.name: 1}, {})[archive.name].sha256
        return Lock((LockedPackage("fromsource", "1.0", (), LockedFile(archive.name, archive.as_uri(), sha256)),))

    return source


def own_target():
    own = own_interpreter()
    return host_target(python=own.version, arch=own.arch, glibc=own.glibc)


def test_sources_are_built_only_when_that_is_allowed(put, tmp_path, source):
    lock = source()
    with pytest.raises(GateError, match="only sources"):
        put(lock, own_target())
    staged = put(lock, own_target(), allow_sdists=True, python=Path(sys.executable))
    assert not (tmp_path / "built").exists()  # it is built in a box
    assert staged.import_names == ("fromsource",)
    assert put(lock, own_target(), allow_sdists=True).import_names == ("fromsource",)


def test_what_was_built_for_another_machine_is_refused(put, source):
    with pytest.raises(BuildError, match="does not run on"):
        put(source(tag="cp39-cp39-linux_x86_64"), lambda_target("python3.13", "arm64"), allow_sdists=True)


def test_a_build_that_fails_shows_its_end(put, source):
    broken = "raise RuntimeError('no compiler here')  # {mark} {tag}\n"
    with pytest.raises(BuildError, match="no compiler here"):
        put(source(backend=broken), own_target(), allow_sdists=True)


@pytest.mark.parametrize("depth", [101, 1500])
def test_a_wheel_that_is_too_deep_leaves_the_cache_usable(put, tmp_path, depth):
    deep = build_wheel(tmp_path, "deep", "1.0", {f"deep/{'d/' * depth}x.py": ""})
    for _ in range(2):
        with pytest.raises(BuildError, match=r"folders deep|longer than"):
            put(lock_of(deep))
    assert put(lock_of(build_wheel(tmp_path, "tiny", "1.0"))).import_names == ("tiny",)
