"""Reading ahead: what is planned comes into the page cache, nothing else does, and no thread outlives its work."""

import ctypes
import importlib.util
import mmap
import os
import sys
import time
import types
from pathlib import Path

import pytest

PAGE = mmap.PAGESIZE
MIB = 1 << 20
BOOTSTRAP = Path(__file__).parents[2] / "efsprov" / "bootstrap"


@pytest.fixture(scope="module")
def readahead():
    """The module, without the package around it, which would pin a release for this process."""
    names = {}
    for name in "_index", "_readahead":
        package = types.ModuleType("efsprov.bootstrap")
        saved = {key: sys.modules.get(key) for key in ("efsprov.bootstrap", "efsprov.bootstrap._index")}
        sys.modules["efsprov.bootstrap"] = package
        if "_index" in names:
            sys.modules["efsprov.bootstrap._index"] = names["_index"]
        try:
            spec = importlib.util.spec_from_file_location(f"{name}_alone", BOOTSTRAP / f"{name}.py")
            names[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(names[name])
        finally:
            for key, value in saved.items():
                sys.modules.pop(key, None)
                if value is not None:
                    sys.modules[key] = value
    return names["_readahead"]


def resident(path):
    """Numbers of the pages of PATH that the page cache holds."""
    size = path.stat().st_size
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    with path.open("rb") as file:
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    pages = (ctypes.c_ubyte * -(-size // PAGE))()
    assert libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), pages) == 0
    libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(size))
    return {number for number, state in enumerate(pages) if state & 1}


def forget(path):
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident(path):
        pytest.skip("the temporary folder's file system keeps everything in memory")


@pytest.fixture
def plan(readahead, tmp_path):
    """plan(steps, positions, spans): a read-ahead over a pack and two libraries of 12 MiB, none of it in memory."""
    site = tmp_path / "site"
    site.mkdir()
    paths = [tmp_path / "pack", site / "a.so", site / "b.so"]
    for path in paths:
        path.write_bytes(os.urandom(1) * (12 * MIB))
        forget(path)
    opened = []

    def make(steps, positions, spans=None):
        pack = os.open(paths[0], os.O_RDONLY)
        index = types.SimpleNamespace(site=str(site), packs=1, open={0: pack}.get)
        index.files, index.steps = ["a.so", "b.so", "missing.so"], steps
        index.positions, index.spans = positions, spans or {}
        os.posix_fadvise(pack, 0, 0, os.POSIX_FADV_RANDOM)
        opened.append(pack)
        return readahead.ReadAhead(index)

    make.site, make.paths = site, paths
    yield make
    for descriptor in opened:
        os.close(descriptor)


def settle(ahead, paths, wanted):
    """Wait until the threads have ended and all that was asked for has been in memory; nothing else may have been.

    "Has been": a host may take single pages away again at any time.
    """
    deadline = time.monotonic() + 60
    seen = [set() for _ in paths]
    while time.monotonic() < deadline:
        done = not ahead._running
        seen = [pages | resident(path) for pages, path in zip(seen, paths, strict=True)]
        if done and all(pages >= needed for pages, needed in zip(seen, wanted, strict=True)):
            break
        time.sleep(0.005)
    assert not ahead._running
    for path, pages, needed in zip(paths, seen, wanted, strict=True):
        assert (sorted(needed - pages), sorted(pages - needed)) == ([], []), path.name


def count(what):
    return sum(1 for _ in Path("/proc/self", what).iterdir())


def pages(*runs):
    return {page for offset, length in runs for page in range(offset // PAGE, -(-(offset + length) // PAGE))}


def test_what_the_first_module_spans_is_read_and_nothing_else(readahead, plan):
    steps = [
        (0, 0, MIB),
        *((1, number * MIB, MIB) for number in range(10)),
        (2, 4 * PAGE, 2 * PAGE),
        (2, 64 * PAGE, PAGE),
        (0, MIB, 5 * PAGE),
        *((2, (100 + number) * PAGE, PAGE) for number in range(readahead.AHEAD)),
        (0, 8 * MIB, MIB),
    ]
    ahead = plan(steps, {"top.py": (0,), "a.so": tuple(range(1, 11)), "b.so": (11, 12)}, {"top.py": 17})
    ahead.about_to_use(f"{plan.site}/top.py", library=False)
    scattered = pages((4 * PAGE, 2 * PAGE), (64 * PAGE, PAGE), (100 * PAGE, 3 * PAGE))
    settle(ahead, plan.paths, [pages((0, MIB + 5 * PAGE)), pages((0, 10 * MIB)), scattered])


def test_a_library_is_asked_for_before_it_is_loaded_even_where_no_thread_may_start(readahead, plan, monkeypatch):
    ahead = plan([(1, 0, 3 * PAGE), (1, 10 * PAGE, PAGE)], {"a.so": (0, 1)})
    ahead._start = lambda: None
    ahead.about_to_use(f"{plan.site}/a.so", library=True)
    settle(ahead, plan.paths, [set(), pages((0, 3 * PAGE), (10 * PAGE, PAGE)), set()])


def test_an_import_that_was_not_recorded_as_a_whole_reads_a_little_ahead(readahead, plan):
    steps = [(1 + number // 100, number % 100 * 16 * PAGE, PAGE) for number in range(200)]
    ahead = plan(steps, {"some.py": (3,)})
    ahead.about_to_use(f"{plan.site}/some.py", library=False)
    wanted = [(number * 16 * PAGE, PAGE) for number in range(3 + 1 + readahead.AHEAD)]
    settle(ahead, plan.paths, [set(), pages(*wanted), set()])


def test_files_that_are_not_there_are_somebody_elses_trouble(readahead, plan):
    ahead = plan([(3, 0, PAGE), (1, 0, PAGE)], {"top.py": (), "missing.so": (0,)}, {"top.py": 2})
    ahead.about_to_use(f"{plan.site}/top.py", library=False)
    ahead.about_to_use(f"{plan.site}/missing.so", library=True)
    ahead.about_to_use(f"{plan.site}/unheard.of.py", library=False)
    settle(ahead, plan.paths, [set(), pages((0, PAGE)), set()])


def test_libraries_are_closed_when_the_next_one_is_loaded(readahead, plan):
    ahead = plan([(1, 0, PAGE), (2, 0, PAGE)], {"a.so": (0,), "b.so": (1,), "c.so": ()})
    before = count("fd")
    for name in "a.so", "b.so":
        ahead.about_to_use(f"{plan.site}/{name}", library=True)
        settle(ahead, plan.paths[:1], [set()])
    ahead.about_to_use(f"{plan.site}/c.so", library=True)
    assert count("fd") == before


def test_a_fork_waits_for_the_threads_and_its_child_can_go_on(readahead, plan):
    steps = [(1, number * MIB, MIB) for number in range(12)] + [(2, 0, PAGE)]
    ahead = plan(steps, {"top.py": (0,), "b.so": (12,)}, {"top.py": 13})
    ahead.about_to_use(f"{plan.site}/top.py", library=False)
    child = os.fork()
    if not child:
        try:
            alone = count("task") == 1 and ahead._running == 0
            ahead.about_to_use(f"{plan.site}/b.so", library=True)
            os._exit(0 if alone else 3)
        finally:
            os._exit(4)
    assert ahead._running == 0
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
