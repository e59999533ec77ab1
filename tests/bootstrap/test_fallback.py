"""Whatever is wrong with an index: plain imports, one line in the log, never a wrong module, never a crash."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

A = "20261121T063000Z-3f2a9c1b"
MODULES = {
    "pack/__init__.py": "from pack.b import B\nA = ['pack', B]\n",
    "pack/b.py": "B = 'b'\n",
    "pack/cold.py": "COLD = 'cold'\n",
    "pack-1.0.dist-info/METADATA": "Name: pack\nVersion: 1.0\n\n",
}
LOOK = """
import efsprov.bootstrap as b, importlib.metadata as m
import pack, pack.cold
out([pack.A, pack.cold.COLD, m.version("pack"), type(sys.path_importer_cache[next(iter(b.releases.values())).site]).__name__])
"""
RIGHT = [["pack", "b"], "cold", "1.0"]


@pytest.fixture
def release(root, python):
    made = root.release("main", A, python=python, modules=MODULES)
    site = made / "site"
    compile_tree(site, Path(python))
    write_index(made, site, Path(python), smoke(site, Path(python), ("pack",)))
    return made


def log(outcome):
    return [line for line in outcome.stderr.splitlines() if line.startswith("efsprov: ")]


def test_a_whole_index_is_used_in_silence(release, run, python):
    outcome = run(LOOK, CHANNEL="main", python=python)
    assert outcome.value == [*RIGHT, "IndexedFinder"]
    assert outcome.stderr == ""


def _remove(name):
    return lambda release: (release / name).unlink()


def _cut(name, to):
    def damage(release):
        data = (release / name).read_bytes()
        (release / name).write_bytes(data[: to if to >= 0 else len(data) + to])

    return damage


def _put(name, at, data):
    def damage(release):
        with (release / name).open("r+b") as file:
            file.seek(at)
            file.write(data)

    return damage


def _folder(name):
    def damage(release):
        (release / name).unlink()
        (release / name).mkdir()

    return damage


def the_line(run, python, *, finder):
    """The one line of log of a program that imports the right modules, by this kind of finder."""
    outcome = run(LOOK, CHANNEL="main", python=python)
    assert outcome.value == [*RIGHT, finder], outcome.stderr
    (line,) = log(outcome)
    return line


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_remove("import.index"), r"no import.index \(No such file"),
        (_cut("import.index", 0), "is not an index"),
        (_cut("import.index", 20), "has 0 bytes of"),
        (_cut("import.index", 121), "has 1 bytes of"),
        (_cut("import.index", -1), "bytes of"),
        (_put("import.index", 0, b"PK"), "is not an index"),
        (_put("import.index", 8, b"\x01"), "has format 1, this shim knows 3"),
        (_put("import.index", 12, b"\x00\x00"), "is for another interpreter"),
        (_put("import.index", 32, b"\xff"), "its checksum does not match"),
        (_put("import.index", 112, b"\x00" * 8), "its checksum does not match"),
        (_put("import.index", 200, b"\xff\xff"), "its checksum does not match"),
        (_folder("import.index"), "import.index cannot be read"),
    ],
)
def test_an_index_that_cannot_be_used_is_left_alone(release, run, python, damage, reason):
    damage(release)
    line = the_line(run, python, finder="FileFinder")
    assert line.startswith(f"efsprov: {release} is imported without its index: ")
    assert re.search(reason, line)


def test_it_can_be_switched_off(release, run, python):
    outcome = run(LOOK, CHANNEL="main", python=python, ACCEL="0")
    assert outcome.value == [*RIGHT, "FileFinder"]
    assert log(outcome) == [f"efsprov: {release} is imported without its index: EFSPROV_ACCEL=0"]


def test_an_index_of_another_architecture_is_left_alone(release, run, python):
    """The same interpreter version, other names of extension modules."""
    site = release / "site"
    write_index(release, site, Path(python), smoke(site, Path(python), ("pack",)), arch="arm64")
    outcome = run(LOOK, CHANNEL="main", python=python)
    assert outcome.value == [*RIGHT, "FileFinder"]
    assert "extension modules are called" in log(outcome)[0]


def test_an_index_of_another_interpreter_is_left_alone(root, run, python, interpreters):
    """A release that was filed under this interpreter's target, but was built by another version."""
    other = next((p for p in interpreters.values() if p != python), None)
    if other is None:
        pytest.skip("this machine has one CPython only")
    made = root.release("main", A, python=python, modules=MODULES)
    compile_tree(made / "site", Path(other))
    write_index(made, made / "site", Path(other), None)
    outcome = run(LOOK, CHANNEL="main", python=python)
    assert outcome.value == [*RIGHT, "FileFinder"]
    assert "is for another interpreter" in log(outcome)[0]


def pack_with(release, text):
    """The name of the pack that holds TEXT, relative to the release, and where in it."""
    for path in sorted((release / "import.packs").iterdir()):
        at = path.read_bytes().find(text)
        if at >= 0:
            return str(path.relative_to(release)), at
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_remove, "No such file or directory"),
        (_folder, "Is a directory|it has \\d+ bytes"),
        (lambda name: _cut(name, -1), "it has \\d+ bytes of"),
        (lambda name: _cut(name, 0), "it has 0 bytes of"),
    ],
)
def test_what_a_pack_holds_that_cannot_be_used_is_read_from_its_own_files(release, run, python, damage, reason):
    """The packs are opened one by one, when something in them is needed."""
    name, _ = pack_with(release, b"cold")
    damage(name)(release)
    line = the_line(run, python, finder="IndexedFinder")
    assert line.startswith(f"efsprov: {release}/{name} cannot be used: ")
    assert re.search(reason, line)


def test_a_pack_that_read_ahead_cannot_open_hinders_no_fork_and_needs_no_log(release, run, python):
    """Whoever reads ahead has nobody to tell, and the importing thread must not fail for want of a log."""
    for path in sorted((release / "import.packs").iterdir()):
        path.unlink()
    code = """
import os, io
closed = io.StringIO(); closed.close()
sys.stderr = closed
import efsprov.bootstrap, pack, pack.cold
child = os.fork()
if not child:
    os._exit(0)
out([pack.A, pack.cold.COLD, os.waitpid(child, 0)[1]])
"""
    assert run(code, CHANNEL="main", python=python).value == [["pack", "b"], "cold", 0]
    result = run(LOOK, CHANNEL="main", python=python)
    assert result.value == [*RIGHT, "IndexedFinder"]
    assert len(log(result)) == 2, "one line a pack"


def test_damaged_bytecode_is_not_run(release, run, python):
    """Each module has its own checksum: the damaged one is read from its own file, the others from the pack."""
    name, at = pack_with(release, b"cold")
    _put(name, at, b"COLD")(release)
    line = the_line(run, python, finder="IndexedFinder")
    assert "pack/cold.py is imported without the index: its bytecode in the pack is damaged" in line


def test_a_release_without_bytecode_is_found_by_its_index(root, run, python):
    """Bytecode that is not of the kind that nothing voids is not packed: the interpreter decides about it."""
    made = root.release("main", A, python=python, modules=MODULES)
    write_index(made, made / "site", Path(python), None)
    outcome = run(LOOK, CHANNEL="main", python=python)
    assert outcome.value == [*RIGHT, "IndexedFinder"]
    assert log(outcome) == []


def test_closed_error_output_is_no_reason_to_fail(release, run, python):
    (release / "import.index").unlink()
    code = "sys.stderr = None\n" + LOOK
    assert run(code, CHANNEL="main", python=python).value == [*RIGHT, "FileFinder"]


MANY = """
import os, sys, json
import efsprov.bootstrap as b
release = next(iter(b.releases.values()))
site, results = release.site, []
for line in sys.stdin:
    name, at, bit = line.split()
    path = os.path.join(release.path, name)
    with open(path, "r+b") as file:
        file.seek(int(at)); old = file.read(1)
        file.seek(int(at)); file.write(bytes([old[0] ^ (1 << int(bit))]))
    child = os.fork()
    if not child:
        code = 1
        try:
            import pack, pack.cold, importlib.metadata
            good = [pack.A, pack.cold.COLD, importlib.metadata.version("pack")] == [["pack", "b"], "cold", "1.0"]
            code = 0 if good else 2
        except BaseException as error:
            print(repr(error), file=sys.__stderr__)
        finally:
            os._exit(code)
    results.append(os.waitpid(child, 0)[1])
    with open(path, "r+b") as file:
        file.seek(int(at)); file.write(old)
print(json.dumps(results))
"""


def test_no_flipped_bit_gives_a_wrong_module(root, tmp_path):
    """Every bit of the header, and a sample of all others, flipped one at a time in a file that a process then uses."""
    release = root.release("main", A, modules=MODULES)
    python = Path(sys.executable)
    compile_tree(release / "site", python)
    write_index(release, release / "site", python, smoke(release / "site", python, ("pack",)))
    written = [release / "import.index", *sorted((release / "import.packs").iterdir())]
    sizes = {str(path.relative_to(release)): path.stat().st_size for path in written}
    assert len(sizes) == 3, "hot, cold"

    @settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.tuples(st.sampled_from(sorted(sizes)), st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=40
        )
    )
    def flip(choices):
        flips = [(name, int(part * sizes[name]), bit) for name, part, bit in choices]
        check(flips)

    def check(flips):
        env = {"EFSPROV_ROOT": str(root.path), "EFSPROV_CHANNEL": "main", "PYTHONPATH": str(Path(__file__).parents[2])}
        lines = "".join(f"{name} {at} {bit}\n" for name, at, bit in flips)
        done = subprocess.run(
            [sys.executable, "-c", MANY], input=lines, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert set(json.loads(done.stdout)) == {0}, done.stderr[-2000:]

    check([("import.index", at, bit) for at in range(120) for bit in range(8)])
    flip()


@pytest.mark.parametrize("bound", ["3f2a9c1b", "00000000"])
def test_an_index_of_another_release_is_not_used(root, run, python, bound):
    made = root.release("main", A, python=python, modules=MODULES)
    site = made / "site"
    compile_tree(site, Path(python))
    write_index(made, site, Path(python), smoke(site, Path(python), ("pack",)), bound=bound)
    outcome = run(LOOK, CHANNEL="main", python=python)
    own = bound == "3f2a9c1b"
    assert outcome.value == [*RIGHT, "IndexedFinder" if own else "FileFinder"]
    assert log(outcome) == (
        []
        if own
        else [f"efsprov: {made} is imported without its index: import.index is that of another release (00000000)"]
    )
