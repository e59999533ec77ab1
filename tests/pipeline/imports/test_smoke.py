"""A release either imports and tells what that took, or its failure is reported in plain words."""

import contextlib
import mmap
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from efsprov.core.errors import SmokeError
from efsprov.pipeline.imports.smoke import smoke

PYTHON = Path(sys.executable)


@pytest.fixture
def site(tmp_path):
    """site(files) makes a tree of {name: text}."""

    def make(**files):
        for name, text in files.items():
            path = tmp_path / "site" / name.replace("__", "/").replace("/init", "/__init__")
            path = path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "site"

    return make


def test_modules_are_reported_in_the_order_of_use(site):
    busy = "import time\nwhile time.process_time() == time.process_time(): pass"  # until the processor's clock moves
    tree = site(
        package__init="from package import b, a", package__a="import json", package__b="import other", other=busy
    )
    result = smoke(tree, PYTHON, ("package", "package.a"))
    assert result.order == ("package/__init__.py", "package/b.py", "other.py", "package/a.py")
    assert result.modules == ("package", "package.b", "other", "package.a")
    assert result.imports == ("package", "package.a")
    assert result.starts == (0, 4)
    assert result.libraries == {}
    assert result.cpu_seconds > 0
    assert 1 << 20 < result.max_rss < 1 << 30


def test_memory_is_that_of_the_import_alone(site):
    """Not also what the process that started it has in use, which the kernel hands on at a fork."""
    ballast = bytearray(b"x") * (256 << 20)
    assert 1 << 20 < smoke(site(small=""), PYTHON, ("small",)).max_rss < 64 << 20 < len(ballast)


def test_modules_that_remove_themselves_are_reported_too(site):
    tree = site(fleeting="import sys, lasting; del sys.modules['lasting']; sys.modules['fleeting'] = sys", lasting="")
    assert smoke(tree, PYTHON, ("fleeting",)).order == ("fleeting.py", "lasting.py")


def test_sources_whose_lines_are_asked_for_are_reported(site):
    tree = site(asker="import traceback, other; traceback.extract_stack()[-1].line", other="X = 1")
    assert smoke(tree, PYTHON, ("asker",)).quoted == ("asker.py",)


def test_touched_pages_of_a_mapped_file_are_reported_however_much_is_cached(site, tmp_path):
    """Every page is in the page cache, by large reads and writes; one page is used."""
    tree = site(
        mapper="""
import contextlib
import mmap
file = open(__file__[:-9] + "data.so", "rb")
area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
area[40 << 20]
"""
    )
    (tree / "data.so").write_bytes(b"x" * (64 << 20))
    assert len((tree / "data.so").read_bytes()) == 64 << 20
    runs = smoke(tree, PYTHON, ("mapper",)).libraries["data.so"]
    assert any(at <= 40 << 20 < at + length for at, length in runs)
    assert mmap.PAGESIZE <= sum(length for _, length in runs) <= 2 << 20


def test_libraries_are_reported_before_what_needs_them(tmp_path):
    tree = tmp_path / "site"
    tree.mkdir()
    (tree / "low.c").write_text("int low(void) { return 3; }")
    (tree / "high.c").write_text("""
#include <Python.h>
int low(void);
static struct PyModuleDef def = { PyModuleDef_HEAD_INIT, "high", NULL, -1, NULL };
PyMODINIT_FUNC PyInit_high(void) { return low() ? PyModule_Create(&def) : NULL; }
""")
    include = sysconfig.get_paths()["include"]
    compiler = ["cc", "-shared", "-fPIC", "-I", include, "-L.", "-Wl,-rpath,$ORIGIN"]
    subprocess.run([*compiler, "low.c", "-o", "liblow.so"], cwd=tree, check=True)
    subprocess.run([*compiler, "high.c", "-llow", "-o", "high.so"], cwd=tree, check=True)
    (tree / "top.py").write_text("import high")
    result = smoke(tree, PYTHON, ("top",))
    assert result.order == ("top.py", "liblow.so", "high.so")
    assert result.loaded == ("liblow.so",)
    assert set(result.libraries) == {"liblow.so", "high.so"}
    assert all(at % mmap.PAGESIZE == 0 < length for runs in result.libraries.values() for at, length in runs)


def test_nothing_but_the_release_and_the_standard_library_is_there(site, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "stray.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SECRET", "s3cret")
    monkeypatch.chdir(tmp_path / "elsewhere")
    tree = site(
        looks="""
import os, sys
for name in "stray", "pip", "pytest", "efsprov":
    try: __import__(name)
    except ImportError: pass
    else: raise RuntimeError(name)
assert "SECRET" not in os.environ and os.listdir() == [] and sys.path[0] == os.path.dirname(__file__), sys.path
exit, quit, help, copyright
"""
    )
    assert smoke(tree, PYTHON, ("looks",)).modules == ("looks",)
    with pytest.raises(SmokeError, match="No module named 'stray'"):
        smoke(tree, PYTHON, ("stray",))


def test_the_release_wins_over_the_standard_library_as_it_does_in_a_function(site):
    assert smoke(site(this="X = 1"), PYTHON, ("this",)).modules == ("this",)


def test_nothing_is_written_into_the_release(site):
    tree = site(package__init="from package import a", package__a="")
    before = sorted(tree.rglob("*"))
    smoke(tree, PYTHON, ("package",))
    assert sorted(tree.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise OSError('libcuda.so.1: cannot open')", "the import raised.\n(.*\n)*.*libcuda.so.1: cannot open"),
        ("import missing_name", "No module named 'missing_name'\n.*--import"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV .*\n(.*\n)*.*broken.py"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL .*\n(.*\n)*.*lacks instructions"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL .*\n(.*\n)*.*ran out of memory"),
        ("import time; print('waiting'); time.sleep(600)", "not done after 3 seconds"),
        ("import os; os._exit(0)", "exited with code 0 and no output"),
        ("import sys; sys.exit('no licence')", "no licence"),
        ("syntax error", "SyntaxError"),
        ("raise SystemExit", "no output"),
    ],
)
def test_a_failure_is_reported_in_plain_words(site, text, words):
    tree = site(broken=text, good="")
    with pytest.raises(SmokeError, match=f"`import broken` fails in the finished release: (.*\n)*.*{words}") as raised:
        smoke(tree, PYTHON, ("good", "broken"), timeout=3 if "sleep" in text else 60)
    assert "Nothing was published." in raised.value.hint


def running(argument):
    """The processes of this machine that have ``argument`` on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if argument.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(folder.name)
    return found


@pytest.mark.parametrize("kind", ["namespaces", "process"])
def test_what_an_import_started_ends_with_it(site, kind):
    tree = site(starter="import subprocess\nsubprocess.Popen(['sleep', '600.0625'])")
    smoke(tree, PYTHON, ("starter",), kind=kind)
    assert running("600.0625") == []


def test_a_daemon_ends_with_the_box(site):
    tree = site(
        starter="import os, subprocess\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        subprocess.run(['sleep', '600.03125'])\n    os._exit(0)"
    )
    smoke(tree, PYTHON, ("starter",), kind="namespaces")
    assert running("600.03125") == []


@pytest.mark.parametrize("kind", ["namespaces", "process"])
def test_what_an_import_writes_reaches_no_file_of_the_release(site, tmp_path, kind):
    tree = site(
        writer="import pathlib\ntry: (pathlib.Path(__file__).parent / 'data.txt').write_text('changed')\nexcept OSError: pass"
    )
    (tree / "data.txt").write_text("original")
    (tmp_path / "cache.txt").hardlink_to(tree / "data.txt")
    result = smoke(tree, PYTHON, ("writer",), kind=kind)
    assert (tree / "data.txt").read_text() == (tmp_path / "cache.txt").read_text() == "original"
    assert (result.writes, result.box) == (("data.txt",), kind)


def test_folders_that_an_import_wants_to_make_are_reported_with_its_failure(site):
    with pytest.raises(SmokeError, match="Read-only file system") as caught:
        smoke(site(maker="import os\nos.mkdir(os.path.dirname(__file__) + '/cache')"), PYTHON, ("maker",))
    assert caught.value.wanted_folders == ("cache",)
    assert "Functions see a release read-only" in caught.value.hint


def test_output_without_end_takes_no_memory(site):
    tree = site(chatty="import sys\nfor _ in range(200): sys.stdout.write('x' * (1 << 20))\nraise OSError('the end')")
    with pytest.raises(SmokeError, match="the end") as caught:
        smoke(tree, PYTHON, ("chatty",))
    assert len(str(caught.value)) < 200_000


def test_a_package_that_forks_is_reported_once(site):
    tree = site(forker="import os\nchild = os.fork()\nif child: os.waitpid(child, 0)")
    assert smoke(tree, PYTHON, ("forker",)).modules == ("forker",)
