"""Programs that change the import system, interrupt it, or leave it little room see what they would without the index."""

import os
import shutil
from pathlib import Path

import pytest

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

A = "20261121T063000Z-3f2a9c1b"
MODULES = {
    "pack/__init__.py": "from pack import first\n",
    "pack/first.py": "X = 1\n",
    "pack/second.py": "import pack.third\nX = 2\n",
    "pack/third.py": "X = 3\n",
    "pack/custom.h3": "X = 42\n",
    **{f"pack/many{number}.py": f"X = {number}\n" * 50 for number in range(30)},
}


@pytest.fixture
def both(root, run, python):
    """both(code) runs a program without the index and with it, and gives both outcomes; the program calls ``out``."""
    release = root.release("pack", A, python=python, modules=MODULES)
    site = release / "site"
    compile_tree(site, Path(python))
    write_index(release, site, Path(python), smoke(site, Path(python), ("pack", "pack.second")))

    def both(code, **environment):
        return [run(code, CHANNEL="pack", python=python, ACCEL=accel, **environment) for accel in ("0", "1")]

    both.release = release
    return both


def same(outcomes, *, value=None):
    plain, accelerated = outcomes
    assert (plain.code, accelerated.code) == (0, 0), accelerated.stderr
    assert accelerated.value == plain.value
    assert value is None or plain.value == value
    assert "without its index" not in accelerated.stderr


@pytest.mark.parametrize("cleared", ["sys.path_importer_cache.clear()", "importlib.invalidate_caches()", ""])
@pytest.mark.parametrize("suffixes", ["SOURCE_SUFFIXES", "BYTECODE_SUFFIXES"])
def test_suffixes_of_a_programs_own(both, suffixes, cleared):
    program = f"""
import importlib, importlib.machinery, sys, efsprov.bootstrap
importlib.machinery.{suffixes}.insert(0, ".h3")
{cleared}
try:
    import pack.custom
    out(pack.custom.X)
except (ImportError, EOFError) as error:
    out(type(error).__name__)
"""
    same(both(program))


@pytest.mark.parametrize(
    "collection",
    ["sys.meta_path", "sys.path_hooks", "[importlib.util.find_spec('pack.second').loader.get_code]",
     "[importlib.util.find_spec('pack.second').loader.exec_module]", "sys.path_importer_cache.values()"],
)  # fmt: skip
def test_everything_has_a_hash(both, collection):
    same(
        both(
            f"import sys, importlib.util, efsprov.bootstrap, pack\nfound = list({collection})\nout(len(set(found)) == len(found))"
        )
    )


def test_meta_path_and_hooks_that_were_through_a_set_or_a_copy_still_import(both):
    program = """
import copy, sys, efsprov.bootstrap
sys.meta_path[:] = list(set(sys.meta_path))
sys.path_hooks[:] = [copy.copy(hook) for hook in sys.path_hooks]
sys.path_importer_cache.clear()
import pack.second
out(sorted(n for n in sys.modules if n.startswith("pack")))
"""
    same(both(program))


@pytest.mark.parametrize("when", ["before the shim", "after the shim", "between finding and executing"])
@pytest.mark.parametrize(
    "method", ["get_code", "exec_module", "source_to_code", "get_data", "get_filename", "path_stats"]
)
def test_a_loader_class_that_was_patched_is_called_for_the_same_modules(both, method, when):
    patch = f"""
import importlib.machinery as m
seen, original = [], m.SourceFileLoader.{method}
def traced(self, *arguments, **named):
    seen.append(self.name)
    return original(self, *arguments, **named)
def patch():
    m.SourceFileLoader.{method} = traced
"""
    steps = {
        "before the shim": "patch()\nimport efsprov.bootstrap\nimport pack.second",
        "after the shim": "import efsprov.bootstrap\npatch()\nimport pack.second",
        "between finding and executing": """
import efsprov.bootstrap, importlib.util, pack, sys
spec = importlib.util.find_spec("pack.second")
patch()
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
""",
    }
    # Whether bytecode is there is the plain import's business: with it, sources are not compiled.
    plain, accelerated = both(patch + steps[when] + "\nout(sorted({n for n in seen if n.startswith('pack')}))")
    assert (plain.code, accelerated.code) == (0, 0), accelerated.stderr
    if (method, when) == ("exec_module", "between finding and executing"):
        # A limit that docs/reference/shim.md tells: that loader is bound to the method that it was found with.
        assert (plain.value, accelerated.value) == (["pack.second", "pack.third"], ["pack.third"])
    else:
        assert accelerated.value == plain.value


def test_a_finder_class_that_was_patched_is_called(both):
    program = """
import importlib.machinery as m, efsprov.bootstrap, pack
seen, original = [], m.FileFinder.find_spec
def traced(self, name, target=None):
    seen.append(name)
    return original(self, name, target)
m.FileFinder.find_spec = traced
import pack.second
out([name for name in seen if name.startswith("pack")])
"""
    same(both(program))


def test_no_thread_of_the_shim_is_left_when_the_interpreter_ends(both):
    """CPython 3.9 and 3.10 crash where one has only just been started; here each takes its time before it begins."""
    program = """
import _thread, atexit, time
start = _thread.start_new_thread
def begin_late(work, arguments):
    time.sleep(0.2)
    work(*arguments)
_thread.start_new_thread = lambda work, arguments: start(begin_late, (work, arguments))
@atexit.register
def after_the_shims_own_handler():
    import pack.second
    out(_thread._count())
import efsprov.bootstrap, pack
"""
    same(both(program), value=0)


@pytest.mark.parametrize(
    "interrupt",
    [
        "signal.signal(signal.SIGALRM, lambda *a: importing())\nsignal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)",
        "import weakref\nclass Thing: pass\nthing = Thing()\nweakref.finalize(thing, importing)\ndel thing",
        "class Thing:\n    def __del__(self): importing() or leave(1)\ndef leave(count):\n    things = [Thing() for _ in range(count)]\n    things.append(things)\nleave(20)",
        "import atexit\natexit.register(importing)",
        "sys.settrace(lambda *a: [importing()] and None)",
        "import os\nsignal.signal(signal.SIGALRM, lambda *a: os.fork() or os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.005)",
    ],
    ids=["signal handler", "weak reference", "finalizer", "at exit", "trace function", "fork in a handler"],
)
def test_whatever_interrupts_an_import_may_import(both, interrupt):
    """A wait for a lock that the interrupted code holds would never end: the run's time limit is the test.

    Before 3.12 CPython itself does not bear an import within `_ModuleLock` (python/cpython#106176): the program waits for
    its next chance then.
    """
    program = f"""
import faulthandler, gc, signal, sys
faulthandler.dump_traceback_later(30, exit=True)
import efsprov.bootstrap
number = iter(range(30))
OF_A_MODULES_LOCK = "__init__", "acquire", "release", "has_deadlock"
def importing():
    frame = sys._getframe()
    while frame:
        if "importlib" in frame.f_code.co_filename and frame.f_code.co_name in OF_A_MODULES_LOCK:
            return False
        frame = frame.f_back
    n = next(number, None)
    if n is not None:
        __import__(f"pack.many{{n}}")
    return True
{interrupt}
import pack.second
gc.collect()
sys.settrace(None)
signal.setitimer(signal.ITIMER_REAL, 0)
out("imported")
"""
    same(both(program), value="imported")


@pytest.mark.parametrize("name", ["import.index", "import.packs"])
def test_a_pipe_in_the_place_of_index_or_pack_is_not_waited_for(both, name):
    target = both.release / name
    if target.is_dir():
        packs = sorted(target.iterdir())
        for pack in packs:
            pack.unlink()
            os.mkfifo(pack)
    else:
        target.unlink()
        os.mkfifo(target)
    plain, accelerated = both("import efsprov.bootstrap, pack.second; out(pack.second.X)")
    assert (plain.value, accelerated.value) == (2, 2), accelerated.stderr


@pytest.mark.parametrize(
    "limit",
    [
        "resource.RLIMIT_AS, 64 << 20",
        "resource.RLIMIT_AS, 40 << 20",
        "resource.RLIMIT_NOFILE, 8",
        "resource.RLIMIT_NOFILE, 5",
    ],
)
def test_where_a_plain_import_has_room_the_other_has(both, limit):
    program = f"import resource; resource.setrlimit({limit.split(',')[0]}, ({limit.split(',')[1]}, -1))"
    program = program.replace("-1)", "resource.getrlimit(" + limit.split(",")[0] + ")[1])")
    program += "\nimport efsprov.bootstrap, pack.second; out(pack.second.X)"
    plain, accelerated = both(program)
    assert plain.code != 0 or accelerated.value == plain.value, accelerated.stderr


CHILD = "import pack.second, sys; print(pack.second.X, pack.__file__)"


def test_children_that_are_executed_find_the_release(both):
    program = f"""
import subprocess, sys, efsprov.bootstrap
child = subprocess.run([sys.executable, "-c", {CHILD!r}], capture_output=True, text=True)
out(child.stdout or child.stderr)
"""
    plain, accelerated = both(program)
    assert plain.value == accelerated.value == f"2 {both.release}/site/pack/__init__.py\n"


def test_children_keep_the_parents_release_and_the_parents_own_path(both, root, python, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("X = 'mine'\n")
    later = root.release(
        "pack", "20261122T063000Z-00000000", python=python, modules={"pack/__init__.py": "X = 'later'\n"}, current=False
    )
    program = f"""
import os, subprocess, sys, efsprov.bootstrap
current = {str(later.parents[1] / "current")!r}
os.unlink(current); os.symlink("releases/{later.name}", current)
os.environ["PYTHONPATH"] += os.pathsep + {str(tmp_path / "own")!r}
code = "import mine, efsprov.bootstrap as b, pack; print(mine.X, b.releases['pack'].id, pack.__file__)"
child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
out(child.stdout or child.stderr)
"""
    shutil.copytree(later.parent / A, later, dirs_exist_ok=True)
    plain, _ = both(program)  # the second run finds the later one current
    assert plain.value == f"mine {A} {both.release}/site/pack/__init__.py\n"


def test_children_are_left_alone_when_asked(both):
    program = """
import os, subprocess, sys, efsprov.bootstrap
child = subprocess.run([sys.executable, "-c", "import pack"], capture_output=True, text=True)
out(["PYTHONPATH" in os.environ and "releases" in os.environ["PYTHONPATH"], child.stderr.strip().splitlines()[-1]])
"""
    outcomes = both(program, CHILDREN="0")
    same(outcomes, value=[False, "ModuleNotFoundError: No module named 'pack'"])


def test_a_root_of_models_alone_names_the_empty_setting(root, run, python):
    root.model("resnet", A)
    outcome = run("import efsprov.bootstrap", python=python)
    assert outcome.error.endswith(f"{root.path} holds models alone: set it to nothing, EFSPROV_CHANNEL=")


HOOK = """
import importlib.machinery as m, sys
class Loader(m.SourceFileLoader):
    def source_to_code(self, data, path, **named):
        seen.append(self.name)
        return super().source_to_code(data, path, **named)
    def get_code(self, name):
        return self.source_to_code(self.get_data(self.path), self.path)
seen = []
hook = m.FileFinder.path_hook((m.ExtensionFileLoader, m.EXTENSION_SUFFIXES), (Loader, m.SOURCE_SUFFIXES))
def refuse(path): raise ImportError
def is_standard(hook): return getattr(hook, "__name__", "") == "path_hook_for_FileFinder"
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "place", ["0", "next(i for i, h in enumerate(sys.path_hooks) if is_standard(h))", "len(sys.path_hooks)"]
)
@pytest.mark.parametrize("added", ["hook", "refuse"])
def test_a_hook_of_a_programs_own_is_asked_where_it_stands(both, when, place, added):
    change = f"sys.path_hooks.insert({place}, {added})\nsys.path_importer_cache.clear()\n"
    steps = [change, "import efsprov.bootstrap\n"] if when == "before" else ["import efsprov.bootstrap\n", change]
    found = "import pack.second\nout(sorted(n for n in seen if n.startswith('pack')))"
    same(both(HOOK + "".join(steps) + found))


def test_a_program_without_the_standard_hook_imports_nothing(both):
    program = """
import sys, efsprov.bootstrap
sys.path_hooks[:] = [h for h in sys.path_hooks if getattr(h, "__name__", "") != "path_hook_for_FileFinder"]
sys.path_importer_cache.clear()
try:
    import pack.second
    out("found")
except ImportError as error:
    out(str(error))
"""
    same(both(program), value="No module named 'pack'")


def test_a_foreign_hook_that_refuses_costs_no_acceleration(both):
    program = """
import sys
def refuse(path): raise ImportError
sys.path_hooks.insert(0, refuse)
import efsprov.bootstrap, pack.second
out([type(f).__name__ for p, f in sys.path_importer_cache.items() if p.endswith("/pack")])
"""
    plain, accelerated = both(program)
    assert (plain.value, accelerated.value) == (["FileFinder"], ["IndexedFinder"])
