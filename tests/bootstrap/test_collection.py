"""Garbage collection is put off while a module is imported, and is afterwards what it was."""

from pathlib import Path

import pytest

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index

A = "20261121T063000Z-3f2a9c1b"
MODULES = {
    "many.py": "import gc\nSEEN = gc.get_threshold()[0]\nLISTS = [[] for _ in range(100_000)]\nimport inner\n",
    "inner.py": "import gc\nSEEN = gc.get_threshold()[0]\n",
    "failing.py": "import inner\nraise RuntimeError('on purpose')\n",
    "choosing.py": "import gc\ngc.set_threshold(123, 4, 5)\n",
    "disabling.py": "import gc\ngc.disable()\n",
    "cycles.py": "class C: pass\nfor _ in range(20_000):\n    c = C()\n    c.me = c\n",
    "forking.py": """
import gc, os, threading
TOLD = []
def fork():
    read, write = os.pipe()
    if not os.fork():
        os.write(write, str(gc.get_threshold()[0]).encode())
        os._exit(0)
    os.wait()
    TOLD.append(int(os.read(read, 100)))
thread = threading.Thread(target=fork)
thread.start()
thread.join()
fork()
""",
    "counting.py": "import sys\ndef frames():\n    f, n = sys._getframe(), 0\n    while f: f, n = f.f_back, n + 1\n    return n\nDEPTH = frames()\n",
}
START = "import gc, efsprov.bootstrap\nbefore = gc.get_threshold()\n"


@pytest.fixture
def release(root, python):
    made = root.release("main", A, python=python, modules=MODULES)
    compile_tree(made / "site", Path(python))
    write_index(made, made / "site", Path(python), None)
    return made


@pytest.fixture
def program(release, run, python):
    def ask(code, **variables):
        outcome = run(START + code, CHANNEL="main", python=python, **variables)
        assert outcome.code == 0, outcome.stderr
        return outcome.value

    return ask


def test_nothing_is_collected_during_an_import_and_everything_is_as_before_after_it(program):
    code = """
gc.collect()
counts = [generation["collections"] for generation in gc.get_stats()]
import many
import inner
after = [generation["collections"] for generation in gc.get_stats()]
out([counts == after, many.SEEN > before[0], inner.SEEN > before[0], gc.get_threshold() == before, gc.isenabled()])
"""
    assert program(code) == [True] * 5


def test_what_an_import_made_counts_as_old(program):
    code = """
gc.collect()
import many
young = gc.get_objects(generation=0) + gc.get_objects(generation=1)
out([sum(each is many.LISTS for each in young), len(young) < 50_000])
"""
    assert program(code) == [0, True]


def test_garbage_of_an_import_is_found_later(program):
    code = """
import weakref
import cycles
last = weakref.ref(cycles.c)
del cycles.c
gc.collect()
out(last() is None)
"""
    assert program(code) is True


def test_a_program_that_froze_objects_keeps_them_frozen(program):
    code = """
gc.freeze()
frozen = gc.get_freeze_count()
import many
out([0 < gc.get_freeze_count() <= frozen, gc.get_threshold() == before])
"""
    assert program(code) == [True, True]


def test_an_import_that_fails_ends_it_too(program):
    code = """
try:
    import failing
except RuntimeError as error:
    lines = [frame.filename.rpartition("/")[2] for frame in __import__("traceback").extract_tb(error.__traceback__)]
out([gc.get_threshold() == before, lines[1:]])
"""
    assert program(code) == [True, ["failing.py"]]


@pytest.mark.parametrize(
    ("module", "left"),
    [
        ("choosing", "gc.get_threshold()[:2] == (123, 4)"),
        ("disabling", "not gc.isenabled() and gc.get_threshold() == before"),
    ],
)
def test_a_module_that_sets_the_collector_has_the_last_word(program, module, left):
    assert program(f"import {module}\nout({left})") is True


@pytest.mark.parametrize("setting", ["gc.disable()", "gc.set_threshold(0)", "gc.set_threshold(50_000_000)"])
def test_a_collector_that_is_off_is_left_alone(program, setting):
    code = f"{setting}\nwanted = gc.isenabled(), gc.get_threshold()\nimport many\nout([many.SEEN == wanted[1][0], (gc.isenabled(), gc.get_threshold()) == wanted])"
    assert program(code) == [True, True]


def test_a_child_of_another_thread_does_not_inherit_it(program):
    code = (
        "import forking\nout([forking.TOLD[0] == before[0], forking.TOLD[1] > before[0], gc.get_threshold() == before])"
    )
    assert program(code) == [True, True, True]


def test_a_module_sees_the_frames_of_a_plain_import(program):
    code = "import counting\nout(counting.DEPTH)"
    assert program(code) == program(code, ACCEL="0")


@pytest.mark.parametrize("wrapping", ["self.run", "lambda module: self.run(module)"], ids=["method", "function"])
def test_a_program_that_wraps_the_loader_keeps_its_wrapper(program, wrapping):
    """As import hooks do (wrapt's, tracers): they put their own ``exec_module`` in the place of what they found."""
    code = f"""
import importlib.abc, importlib.machinery
class Hook(importlib.abc.MetaPathFinder):
    ran = []
    def run(self, module):
        self.ran.append(module.__name__)
        self.found(module)
    def find_spec(self, name, path, target=None):
        if name != "many": return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, self)
        self.found = spec.loader.exec_module
        spec.loader.exec_module = {wrapping}
        return spec
import importlib.util
hook = Hook()
sys.meta_path.insert(0, hook)
import many
out([hook.ran, len(many.LISTS), "exec_module" in many.__loader__.__dict__, gc.get_threshold() == before or hook.found is not None])
del hook.found
"""
    assert program(code) == [["many"], 100_000, True, True]


def test_looking_for_a_module_puts_nothing_off(program):
    code = """
import importlib.util, pickle
spec, again = importlib.util.find_spec("many"), importlib.util.find_spec("many")
same = spec == again and spec.loader == again.loader
between = gc.get_threshold() == before
plain = pickle.loads(pickle.dumps(spec.loader))
code = spec.loader.get_code("many")
out([same, between, gc.get_threshold() == before, plain.path == spec.loader.path, sorted(spec.loader.__dict__)])
"""
    assert program(code) == [True, True, True, True, ["name", "path"]]
