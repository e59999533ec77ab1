"""Bytecode that the interpreter uses, that nothing voids, and that is the same wherever it was made."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from efsprov.core.errors import BuildError
from efsprov.pipeline.imports.compile import compile_tree

PYTHON = Path(sys.executable)


@pytest.fixture
def site(tmp_path):
    files = {
        "package/__init__.py": "def f():\n    raise ValueError('here')\n",
        "package/deep/er/module.py": "X = 1\n",
        "not-a-name.py": "X = 2\n",
        "package/template.py": "{{ name }} = 1 +\n",
        "package/old.py": "print 'python 2'\n",
        "package/nul.py": "X = '\0'\n",
        "package/latin.py": "# -*- coding: latin-1 -*-\nX = '\xe4'\n",
        "package/warns.py": "X = '\\d'\n",
        "package/data.txt": "no source",
    }
    for name, text in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return tmp_path / "site"


def cached(site, name):
    return Path(importlib.util.cache_from_source(site / name))


def test_every_source_is_compiled_but_those_that_cannot_be(site):
    report = compile_tree(site, PYTHON, jobs=2)
    assert report.failed == ("package/nul.py", "package/old.py", "package/template.py")
    assert report.compiled == 5
    assert {p.name.partition(".")[0] for p in site.rglob("*.pyc")} == {
        "__init__",
        "module",
        "not-a-name",
        "latin",
        "warns",
    }


def test_the_source_is_not_looked_at_again(site):
    """Neither another date nor other content of the source voids the bytecode: releases never change."""
    compile_tree(site, PYTHON)
    (site / "package/deep/er/module.py").write_text("X = 'changed'\n")
    os.utime(site / "package/deep/er/module.py", (0, 0))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from package.deep.er import module; print(module.X)"
    assert subprocess.run([PYTHON, "-I", "-c", code, site], capture_output=True, text=True, check=True).stdout == "1\n"


def test_tracebacks_name_the_place_where_the_tree_is_now(site, tmp_path):
    compile_tree(site, PYTHON)
    moved = site.rename(tmp_path / "mounted elsewhere")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import package; package.f()"
    done = subprocess.run([PYTHON, "-I", "-c", code, moved], capture_output=True, text=True, check=False)
    assert f"File \"{moved}/package/__init__.py\", line 2, in f\n    raise ValueError('here')" in done.stderr


def test_the_same_source_gives_the_same_bytes(site, tmp_path):
    """In another folder, in another order: then an earlier release's file can be linked."""
    compile_tree(site, PYTHON, jobs=1)
    first = {p.relative_to(site): p.read_bytes() for p in site.rglob("*.pyc")}
    moved = site.rename(tmp_path / "other")
    for path in moved.rglob("*.pyc"):
        path.unlink()
    (moved / "extra.py").write_text("import os, sys\nX = 1\n" * 500)
    compile_tree(moved, PYTHON, jobs=3)
    second = {p.relative_to(moved): p.read_bytes() for p in moved.rglob("*.pyc")}
    assert {name: second[name] for name in first} == first


def test_a_stale_file_is_replaced_and_what_it_is_linked_to_is_not(site, tmp_path):
    path = cached(site, "package/__init__.py")
    path.parent.mkdir()
    (tmp_path / "cache").write_bytes(b"stale")
    path.hardlink_to(tmp_path / "cache")
    compile_tree(site, PYTHON)
    assert path.read_bytes()[:4] == importlib.util.MAGIC_NUMBER
    assert (tmp_path / "cache").read_bytes() == b"stale"


def test_a_tree_without_sources_is_fine(tmp_path):
    assert compile_tree(tmp_path, PYTHON).compiled == 0


def test_an_interpreter_that_fails_is_reported(site, tmp_path):
    (site / "package/__pycache__").write_text("in the way")
    with pytest.raises(BuildError, match="could not compile"):
        compile_tree(site, PYTHON)
    with pytest.raises(BuildError, match="could not compile"):
        compile_tree(tmp_path / "missing", PYTHON)
