"""What is written into an import index, and the plan for reading ahead that it holds."""

import dataclasses
import hashlib
import importlib.util
import sys
import tempfile
from importlib import machinery
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import BuildError
from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import SCRIPT, ImportFigures, read_figures, write_index
from efsprov.pipeline.imports.smoke import smoke

PYTHON = Path(sys.executable)
PAGE = 4096


def load(path):
    """A module by itself, as the target's interpreter loads it."""
    spec = importlib.util.spec_from_file_location(path.stem + "_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planner = load(SCRIPT.with_name("plan.py"))
finding = load(SCRIPT.with_name("folders.py"))
reader = load(SCRIPT.parents[3] / "bootstrap" / "_index.py")


@st.composite
def touched(draw):
    """Runs of touched pages of a few libraries."""
    files = {}
    for name in draw(st.lists(st.sampled_from(["a.so", "b.so", "c.so"]), unique=True)):
        pages = draw(st.sets(st.integers(0, 3000), max_size=60))
        runs = []
        for page in sorted(pages):
            if runs and sum(runs[-1]) == page * PAGE:
                runs[-1] = (runs[-1][0], runs[-1][1] + PAGE)
            else:
                runs.append((page * PAGE, PAGE))
        files[name] = runs
    return files


@given(touched(), st.floats(0, 2))
def test_closing_gaps_covers_all_that_was_touched_and_keeps_to_its_budget(files, waste):
    closed = planner.close_gaps(files, waste)
    assert closed.keys() == files.keys()
    read = sum(length for runs in closed.values() for _, length in runs)
    needed = sum(length for runs in files.values() for _, length in runs)
    assert needed <= read <= needed * (1 + waste)
    for name, runs in files.items():
        assert all(
            any(at <= offset and offset + length <= at + size for at, size in closed[name]) for offset, length in runs
        )
        assert all(sum(earlier) < later[0] for earlier, later in pairwise(closed[name]))
        assert len(closed[name]) <= len(runs)


@given(touched())
def test_the_smallest_gaps_are_closed_first(files):
    def gaps(runs):
        return [later[0] - sum(earlier) for earlier, later in pairwise(runs)]

    closed = planner.close_gaps(files, 0.5)
    left = sorted(gap for runs in closed.values() for gap in gaps(runs))
    all_gaps = sorted(gap for runs in files.values() for gap in gaps(runs))
    assert left == all_gaps[len(all_gaps) - len(left) :]


def make(order, **changes):
    arguments = {
        "starts": [0],
        "libraries": {},
        "packs": 1,
        "packed": {name: (0, 16 + 1000 * i, 1000) for i, name in enumerate(n for n in order if n.endswith(".py"))},
        "modules": frozenset(order),
    } | changes
    return planner.make_plan(order, arguments.pop("starts"), arguments.pop("libraries"), **arguments)


def test_steps_are_in_the_order_of_use():
    order = ["a.py", "lib.so", "ext.so", "b.py"]
    plan = make(
        order, libraries={"lib.so": [(0, PAGE)], "ext.so": [(PAGE, PAGE)]}, modules=frozenset(order) - {"lib.so"}
    )
    assert plan.files == ["lib.so", "ext.so"]
    assert plan.steps == [(0, 0, 2016), (1, 0, PAGE), (2, PAGE, PAGE)]
    assert plan.positions == {"a.py": (0,), "ext.so": (1, 2), "b.py": (0,)}, (
        "what is loaded along is needed by the next module"
    )
    assert plan.spans == {"a.py": 3}


def test_large_runs_are_read_in_pieces_and_the_pack_only_as_far_as_it_is_hot():
    mib = 1 << 20
    plan = make(
        ["a.py", "b.py", "ext.so"],
        packed={"a.py": (0, 16, mib), "b.py": (0, mib + 16, 100)},
        libraries={"ext.so": [(0, 2 * mib + 1)]},
    )
    assert plan.steps == [(0, 0, mib), (0, mib, 116), (1, 0, mib), (1, mib, mib), (1, 2 * mib, 1)]
    assert plan.positions == {"a.py": (0, 1), "b.py": (1,), "ext.so": (2, 3, 4)}


def test_packs_are_read_one_after_the_other_and_libraries_are_numbered_behind_them():
    packed = {"a.py": (0, 16, 500), "b.py": (1, 16, 300), "c.py": (0, 516, 100)}
    plan = make(["a.py", "b.py", "ext.so", "c.py"], packs=3, packed=packed, libraries={"ext.so": [(0, PAGE)]})
    assert plan.files == ["ext.so"]
    assert plan.steps == [(0, 0, 616), (1, 0, 316), (3, 0, PAGE)]
    assert plan.positions == {"a.py": (0,), "b.py": (1,), "ext.so": (2,), "c.py": (0,)}


def test_each_named_import_spans_what_follows_from_it():
    order = ["a.py", "ext.so", "b.py", "late.so"]
    libraries = {"ext.so": [(0, PAGE)], "late.so": [(0, PAGE)]}
    plan = make(order, starts=[0, 2, 4], libraries=libraries)
    assert plan.spans == {"a.py": 2, "b.py": 3}


def test_nothing_recorded_gives_an_empty_plan():
    plan = make([], starts=[])
    assert (plan.files, plan.steps, plan.positions, plan.spans) == ([], [], {}, {})


@pytest.fixture
def release(tmp_path):
    site = tmp_path / "site"
    files = {
        "package/__init__.py": "from package import used\n",
        "package/used.py": "USED = 1\n",
        "package/unused.py": "UNUSED = 1\n",
        "package/broken.py": "def f(:\n",
        "namespace/inner.py": "",
        "thing-1.0.dist-info/METADATA": "Name: thing\nVersion: 1.0\n",
        "thing-1.0.dist-info/RECORD": "package/__init__.py,,\n",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    compile_tree(site, PYTHON)
    return tmp_path


def test_figures_tell_what_was_indexed(release):
    report = write_index(release, release / "site", PYTHON, smoke(release / "site", PYTHON, ("package",)))
    assert (report.modules, report.packed, report.hot_modules) == (5, 4, 2)
    assert report.index_bytes == (release / "import.index").stat().st_size
    assert report.pack_bytes == sum(each.stat().st_size for each in (release / "import.packs").iterdir())
    assert 0 < report.hot_bytes < report.pack_bytes
    assert (report.planned_reads, report.library_bytes) == (1, 0)
    assert report.planned_bytes == report.hot_bytes + 16, "the header of the pack, and what the import uses"


def test_figures_are_in_the_index(release):
    record = smoke(release / "site", PYTHON, ("package",))
    report = write_index(release, release / "site", PYTHON, record)
    figures = read_figures(release)
    assert figures == ImportFigures(*dataclasses.astuple(report)[:10])
    assert (figures.peak_bytes, figures.microseconds, figures.cpu_microseconds) == (0, 0, 0), "the manifest has them"
    assert figures.touched_bytes == figures.hot_bytes > 0
    assert [field.name for field in dataclasses.fields(ImportFigures)] == list(reader.FIGURES)


def test_the_index_is_the_same_however_long_the_import_took(release):
    record = smoke(release / "site", PYTHON, ("package",))
    write_index(release, release / "site", PYTHON, record)
    one = (release / "import.index").read_bytes()
    slower = dataclasses.replace(record, seconds=record.seconds + 7, cpu_seconds=9.0, max_rss=record.max_rss * 2)
    write_index(release, release / "site", PYTHON, slower)
    assert (release / "import.index").read_bytes() == one


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: b"x" + data[1:], lambda data: data[:8] + b"9" + data[9:]]
)
def test_there_are_no_figures_without_an_index(release, damage):
    assert read_figures(release) is None
    write_index(release, release / "site", PYTHON, None)
    assert read_figures(release).modules == 5
    path = release / "import.index"
    path.write_bytes(damage(path.read_bytes()))
    assert read_figures(release) is None


def test_digests_are_those_of_the_files(release):
    report = write_index(release, release / "site", PYTHON, None)
    packs = {str(each.relative_to(release)) for each in (release / "import.packs").iterdir()}
    assert len(packs) == 1
    assert set(report.sha256) == {"import.index"} | packs
    for name, sha256 in report.sha256.items():
        assert sha256 == hashlib.sha256((release / name).read_bytes()).hexdigest(), name


NAMES = ["a", "b", "__init__", "with-dash", "a.b"]
ENDS = ["", ".py", ".pyc", ".so", machinery.EXTENSION_SUFFIXES[0], ".txt", ".abi3.so"]


@given(
    st.sets(
        st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ENDS)), min_size=1, max_size=3).map(tuple),
        max_size=20,
    )
)
def test_what_folders_hold_is_what_the_interpreters_own_finder_finds(paths):
    with tempfile.TemporaryDirectory() as top:
        for parts in sorted(paths):
            path = Path(top, *(name + end for name, end in parts))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            except (FileExistsError, NotADirectoryError):
                continue  # a file where another wants a folder
        kinds = (machinery.ExtensionFileLoader, machinery.SourceFileLoader, machinery.SourcelessFileLoader)
        suffixes = (machinery.EXTENSION_SUFFIXES, machinery.SOURCE_SUFFIXES, machinery.BYTECODE_SUFFIXES)
        order = [(suffix, kind) for kind, group in enumerate(suffixes) for suffix in group]
        for folder in finding.Folder(top, "").walk():
            path = Path(top, folder.path)
            finder = machinery.FileFinder(str(path), *zip(kinds, suffixes, strict=True))
            entries = folder.entries(order, namespace=7, unknown=8)
            for name in {entry.name.partition(".")[0] for entry in path.iterdir()} | {
                entry.name for entry in path.iterdir()
            }:
                spec = finder.find_spec(name) if "." not in name else None
                expected = None
                if spec is not None:
                    expected = (
                        (7, name)
                        if spec.loader is None
                        else (kinds.index(type(spec.loader)), spec.origin[len(str(path)) + 1 :])
                    )
                assert entries.get(name) == expected


def test_folders_with_links_are_left_to_the_interpreter(release):
    (release / "site" / "linked").mkdir()
    (release / "site" / "linked" / "__init__.py").symlink_to("../package/__init__.py")
    write_index(release, release / "site", PYTHON, None)
    index = reader.Index(str(release))
    assert index.folder(f"{release}/site")["linked"] == (reader.UNKNOWN, "linked")
    assert index.folder(f"{release}/site/linked") is None
    assert index.linked


def test_what_is_written_can_be_read(release):
    write_index(release, release / "site", PYTHON, smoke(release / "site", PYTHON, ("package",)))
    index = reader.Index(str(release))
    site = str(release / "site")
    top = index.folder(site)
    assert {name: entry[0] for name, entry in top.items()} == {"package": reader.PACKED, "namespace": reader.NAMESPACE}
    inner = index.folder(f"{site}/package")
    assert {name: entry[0] for name, entry in inner.items()} == {
        "__init__": reader.PACKED,
        "used": reader.PACKED,
        "unused": reader.PACKED,
        "broken": reader.SOURCE,
        "__pycache__": reader.NAMESPACE,
    }
    assert index.read(*inner["used"][2:]) == next((release / "site").rglob("used.*.pyc")).read_bytes()[16:]
    assert index.folder(f"{site}/missing") is None
    assert index.folder("/elsewhere") is None
    assert index.distributions()["thing-1.0.dist-info"][0] == ("METADATA", "RECORD")


def test_the_same_tree_gives_the_same_files(release, tmp_path):
    record = smoke(release / "site", PYTHON, ("package",))
    written = []
    for _ in range(2):
        write_index(release, release / "site", PYTHON, record)
        packs = sorted((release / "import.packs").iterdir())
        written.append([(each.name, each.read_bytes()) for each in (release / "import.index", *packs)])
    assert written[0] == written[1]


def test_without_a_smoke_test_nothing_is_hot(release):
    report = write_index(release, release / "site", PYTHON, None)
    assert (report.packed, report.hot_modules, report.planned_reads) == (4, 0, 0)


def test_a_failure_is_reported(release):
    with pytest.raises(BuildError, match="could not index"):
        write_index(release / "missing", release / "site", PYTHON, None)
