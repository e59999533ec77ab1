"""Bytecode from an earlier release: the very bytes that compiling gives, and never anything else."""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from efsprov.pipeline.imports.bytecode_cache import BytecodeCache
from efsprov.pipeline.imports.compile import bytecode_cache, compile_sources, compile_tree
from efsprov.pipeline.stage.tree import fingerprints
from efsprov.pipeline.tools.interpreter import own_interpreter

PYTHON = own_interpreter()
FILES = {
    "package/__init__.py": "def f():\n    raise ValueError('here')\n",
    "package/part.py": "X = 1\n",
    "top.py": "X = 2\n",
    "package/a.b.py": "X = 3\n",
    "package/old.py": "print 'python 2'\n",
    "package/data.txt": "no source",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    return bytecode_cache(PYTHON)


@pytest.fixture
def site(tmp_path):
    def make(name, **changed):
        for path, text in {**FILES, **changed}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / name

    return make


def hashes(site):
    return {path: hashlib.sha256((site / path).read_bytes()).hexdigest() for path in fingerprints(site)}


def compile_in(site, cache):
    return compile_sources(site, PYTHON, {p: h for p, h in hashes(site).items() if not p.endswith(".pyc")}, cache)


def bytecode(site):
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*.pyc")}


def kept(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_the_second_time_gives_the_same_bytes_as_compiling_without_starting_anything(site, cache):
    first = compile_in(site("one"), cache)
    second = compile_in(site("two"), cache)
    compile_tree(site("three"), PYTHON.path)
    assert (first.compiled, first.known, first.failed) == (4, 0, ("package/old.py",))
    assert (second.compiled, second.known, second.failed) == (4, 4, ("package/old.py",))
    assert bytecode(site("one")) == bytecode(site("two")) == bytecode(site("three"))
    assert first.hashes == second.hashes
    assert second.hashes == {p: h for p, h in hashes(site("two")).items() if p.endswith(".pyc")}


def test_it_is_linked(site, cache):
    compile_in(site("one"), cache)
    compile_in(site("two"), cache)
    one, two = (site(name) / cache.bytecode_path("package/part.py") for name in ("one", "two"))
    assert one.samefile(two)


def test_only_what_changed_is_compiled(site, cache):
    compile_in(site("one"), cache)
    two = site("two", **{"package/part.py": "X = 'other'\n"})
    assert compile_in(two, cache).known == 3
    assert b"other" in (two / cache.bytecode_path("package/part.py")).read_bytes()
    assert b"other" not in (site("one") / cache.bytecode_path("package/part.py")).read_bytes()


def test_the_same_source_under_another_name_is_other_bytecode(site, cache):
    compile_in(site("one"), cache)
    two = site("two", **{"package/also.py": FILES["package/part.py"]})
    assert compile_in(two, cache).known == 4
    assert b"package/also.py" in (two / cache.bytecode_path("package/also.py")).read_bytes()


def test_another_interpreter_has_its_own(site, cache, tmp_path):
    compile_in(site("one"), cache)
    other = BytecodeCache(tmp_path / "cache" / "bytecode" / "another", f"cpython-{sys.version_info[1]}")
    assert other.give(site("two"), hashes(site("two"))) == {}


def test_what_was_changed_in_place_is_compiled_again_and_good_from_then_on(site, cache, tmp_path):
    compile_in(site("one"), cache)
    right = bytecode(site("one"))
    path = cache.bytecode_path("package/part.py")
    status = (site("one") / path).stat()
    with (site("one") / path).open("r+b") as file:  # a release's file, and by its link the cache's
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    os.utime(site("one") / path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bytecode(site("one")) != right
    report = compile_in(site("two"), cache)
    assert (report.compiled, report.known) == (4, 3)
    assert bytecode(site("two")) == right
    assert compile_in(site("three"), cache).known == 4
    assert bytecode(site("three")) == right
    assert len(kept(tmp_path)) == 4


def test_bytecode_that_a_wheel_brought_is_replaced_and_what_it_is_linked_to_is_not(site, cache, tmp_path):
    compile_in(site("one"), cache)
    stale, path = tmp_path / "unpacked", site("two") / cache.bytecode_path("package/part.py")
    stale.write_bytes(b"stale")
    path.parent.mkdir()
    path.hardlink_to(stale)
    assert compile_in(site("two"), cache).known == 4
    assert bytecode(site("two")) == bytecode(site("one"))
    assert stale.read_bytes() == b"stale"


def test_without_links_everything_is_compiled(site):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        cache = BytecodeCache(Path(elsewhere), bytecode_cache(PYTHON).bytecode_path("x.py").split(".")[-2])
        assert compile_in(site("one"), cache).compiled == 4
        assert compile_in(site("two"), cache).known == 0
        assert bytecode(site("one")) == bytecode(site("two"))
        assert [path for path in Path(elsewhere).rglob("*") if path.is_file()] == []


def test_a_function_may_read_it_whatever_the_umask(site, cache):
    before = os.umask(0o077)
    try:
        compile_in(site("one"), cache)
        compile_in(site("two"), cache)
    finally:
        os.umask(before)
    for name in ("one", "two"):
        for path in site(name).rglob("*.pyc"):
            assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o644, 0o755)


def test_sources_that_are_left_out_get_none(site, cache):
    compile_in(site("one"), cache)
    two = site("two")
    shutil.rmtree(two / "package")
    assert compile_in(two, cache).known == 1
    assert list(bytecode(two)) == [cache.bytecode_path("top.py")]
