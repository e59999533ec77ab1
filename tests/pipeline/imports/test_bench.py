"""What an import costs is measured in fresh processes, one way and the other."""

import platform
import sys
from pathlib import Path

import pytest

from efsprov.core.errors import SmokeError, UsageError
from efsprov.pipeline.imports import bench as import_bench
from efsprov.pipeline.imports.bench import Subject, compare_imports, measure, median, shim_folder
from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

PYTHON = Path(sys.executable)
A = "20261121T063000Z-3f2a9c1b"
TARGET = f"python{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine().replace('aarch64', 'arm64')}"


@pytest.fixture
def subject(tmp_path):
    release = tmp_path / "efs" / "deps" / "small" / TARGET / "releases" / A
    files = {
        "small/__init__.py": "from small import inner\nprint('{not the report}')\n",
        "small/inner.py": "BALLAST = bytearray(b'x') * (100 << 20)\ndel BALLAST\nwhile __import__('time').process_time() < 0.2: pass\n",
        "broken.py": "raise RuntimeError('on purpose')\n",
    }
    for name, text in files.items():
        path = release / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    compile_tree(release / "site", PYTHON)
    write_index(release, release / "site", PYTHON, smoke(release / "site", PYTHON, ("small",)))
    return Subject(tmp_path / "efs", "small", TARGET, A, release / "site", PYTHON)


def test_both_ways_are_measured_in_turns(subject):
    result = []
    measured = compare_imports(subject, ("small",), rounds=2, tell=result.append)
    assert result == ["filling the caches", "round 1 of 2", "round 2 of 2"]
    assert (len(measured.plain), len(measured.accelerated), len(measured.shim)) == (2, 2, 2)
    assert (measured.nfs, measured.cold, measured.imports) == (False, False, ("small",))
    assert [cost.indexed for cost in measured.accelerated] == [True, True]
    assert not any(cost.indexed or cost.warning for cost in measured.plain)
    for cost in (*measured.plain, *measured.accelerated):
        assert cost.cpu > 0.1
        assert 100 << 20 < cost.peak < 200 << 20
        assert 0 <= cost.shim < cost.wall
        assert cost.total_requests == 0
    assert all(cost.peak < 60 << 20 for cost in measured.shim), "the shim imports nothing of the release"
    assert median(measured.plain, "peak") > 100 << 20


def test_an_index_that_is_not_used_is_reported(subject):
    (subject.site.parent / "import.index").unlink()
    with shim_folder(PYTHON) as shim:
        cost = measure(subject, ("small",), shim=shim)
    assert not cost.indexed
    assert "no import.index" in cost.warning


def test_the_release_that_is_asked_for_is_measured(subject):
    """Not the current one: nothing is current here."""
    with shim_folder(PYTHON) as shim:
        assert measure(subject, ("small",), shim=shim).indexed
        assert not (subject.site.parents[2] / "current").exists()


def test_an_import_that_fails_is_reported_with_its_end(subject):
    with pytest.raises(SmokeError, match=r"Importing broken failed \(exit code 1\)(.*\n)*.*on purpose"):
        measure(subject, ("broken",), shim=None)


def test_caches_are_emptied_before_each_import(subject, tmp_path, monkeypatch):
    switch = tmp_path / "drop_caches"
    monkeypatch.setattr(import_bench, "DROP_CACHES", switch)
    measured = compare_imports(subject, ("small",), rounds=1, cold=True)
    assert switch.read_text() == "3"
    assert measured.cold
    assert len(measured.plain) == 1


def test_caches_that_may_not_be_emptied_are_reported(subject, tmp_path, monkeypatch):
    monkeypatch.setattr(import_bench, "DROP_CACHES", tmp_path / "missing" / "drop_caches")
    with pytest.raises(UsageError, match="cannot be emptied"):
        compare_imports(subject, ("small",), rounds=1, cold=True)


def test_the_shim_is_lent_with_its_bytecode(tmp_path):
    with shim_folder(PYTHON) as folder:
        assert [path.name for path in folder.iterdir()] == ["efsprov"]
        sources = sorted(path.stem for path in (folder / "efsprov" / "bootstrap").glob("*.py"))
        compiled = sorted(path.name.partition(".")[0] for path in (folder / "efsprov").rglob("*.pyc"))
    assert sources == compiled
    assert "_finder" in sources
    assert not folder.exists()
