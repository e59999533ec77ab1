"""The accelerated import system on a tree of hard cases, against the plain one, by every interpreter of the machine."""

import json
import pickle
import subprocess
import zipfile
from pathlib import Path

import pytest

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

A, B = "20261121T063000Z-3f2a9c1b", "20261122T063000Z-0000beef"
PROGRAM = Path(__file__).with_name("fidelity_program.py")
# A package before a module before a namespace, an extension before a source, a source before bytecode; names that are
# no identifiers, that do not compile, that remove or replace themselves, that fail, that ask the line cache.
HARD = {
    "package/__init__.py": "from package import a\nX = [1]\ndef f(n):\n    raise ValueError(n)\nclass C:\n    def m(self): return 1\n",
    "package/a.py": "import package\nfrom . import data\nlater = lambda: package.X\n",
    "package/data/__init__.py": "",
    "package/data/table.txt": "1\n2\n",
    "package/__main__.py": "import sys\nprint('main', __name__, __package__, __spec__.name, sys.argv[1:])\n",
    "both/__init__.py": "KIND = 'package'\n",
    "both.py": "KIND = 'module'\n",
    "folder/only.py": "KIND = 'in a namespace'\n",
    "folder/deep/er/x.py": "",
    "shadow/readme.txt": "a folder beside a module\n",
    "shadow.py": "KIND = 'module'\n",
    "with-dash.py": "X = 1\n",
    "upper.py": "CASE = 'lower'\n",
    "Upper.py": "CASE = 'upper'\n",
    "broken.py": "def f(:\n",
    "failing.py": "import package\nraise RuntimeError('on purpose')\n",
    "replaced.py": "import sys, types\nsys.modules[__name__] = types.ModuleType('other')\nsys.modules[__name__].Y = 2\n",
    "quoting.py": "import traceback\nLINE = traceback.extract_stack()[-1].line\n",
    "encoded.py": "# -*- coding: latin-1 -*-\nX = '\xe4'\nimport linecache\nlinecache.getline(__file__, 2)\n",
    "renamed.py": "__name__ = 'another'\ndef g(): pass\n",
    "found-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Found\nVersion: 1.0\n\ntext\n",
    "found-1.0.dist-info/RECORD": "package/__init__.py,sha256=abc,3\nmissing/file.py,,\n",
    "found-1.0.dist-info/entry_points.txt": "[group]\nname = package:f\n",
    "found-1.0.dist-info/licenses/LICENSE": "free\n",
    "odd_name.x-2.0.dist-info/METADATA": "Name: odd-name.x\r\nVersion: 2.0\r\n\r\n",
    "egg-3.0.egg-info/PKG-INFO": "Name: egg\nVersion: 3.0\n",
    "package/__pycache__/leftover.txt": "",
}
TOPS = [
    "package",
    "both",
    "folder",
    "shadow",
    "with-dash",
    "upper",
    "Upper",
    "broken",
    "failing",
    "replaced",
    "quoting",
    "encoded",
]
TOPS += ["renamed", "bytecode", "extension", "linked", "package.a"]


@pytest.fixture
def hard(root, python):
    return make_hard(root, python, linked=False)


def make_hard(root, python, *, linked):
    """An indexed release of hard cases for ``python``, and one of its extension modules if it has them as files."""
    release = root.release("hard", A, python=python, modules={})
    site = release / "site"
    for name, text in HARD.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(text.encode("latin-1"))
    compiled = subprocess.run(
        [
            python,
            "-c",
            "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2])",
            site / "both.py",
            site / "bytecode.pyc",
        ],
        check=True,
    )
    assert compiled.returncode == 0
    if linked:
        (site / "linked").mkdir()
        (site / "linked" / "__init__.py").symlink_to("../package/__init__.py")
    add_extension(site, python)
    compile_tree(site, Path(python))
    index(release, python, ("package", "quoting", "encoded"))
    return release


def add_extension(site, python):
    probe = "import sysconfig; print(sysconfig.get_config_var('DESTSHARED') or '')"
    folder = Path(
        subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() or "/none"
    )
    library = next(iter(sorted(folder.glob("_bisect.*.so"))), None)
    (site / "extension").mkdir()
    (site / "extension" / "__init__.py").write_text("try:\n    from ._bisect import bisect\nexcept ImportError: pass\n")
    if library:
        (site / "extension" / library.name).write_bytes(library.read_bytes())
        (site / "extension" / "_bisect.py").write_text("raise RuntimeError('the source was loaded')\n")


def index(release, python, imports):
    site = release / "site"
    return write_index(release, site, Path(python), smoke(site, Path(python), imports))


@pytest.mark.parametrize("linked", [False, True], ids=["plain files", "links"])
def test_programs_see_the_same(root, run, python, tmp_path, linked):
    make_hard(root, python, linked=linked)
    reports = []
    for accel in "0", "1":
        report = tmp_path / f"report{accel}"
        code = f"import runpy; sys.argv = ['', {str(report)!r}, *{TOPS}]; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
        outcome = run(code, CHANNEL="hard", python=python, ACCEL=accel, PYTHONHASHSEED="0")
        assert outcome.code == 0, outcome.stderr
        reports.append(json.loads(report.read_text()))
        assert ("without its index" in outcome.stderr) == (accel == "0"), outcome.stderr
    plain, accelerated = reports
    for part in plain:
        assert accelerated[part] == plain[part], part
    assert plain["imports"]["package"] == "package"
    assert plain["imports"]["broken"][0] == "SyntaxError"
    assert {"Found", "odd-name.x"} <= set(plain["distributions"])


@pytest.mark.parametrize("accel", ["0", "1"])
def test_no_pth_file_is_acted_upon(root, run, python, accel):
    """They belong to site-packages; a release's folder is an entry of ``sys.path``, as LAMBDA_TASK_ROOT is."""
    modules = {"package.py": "X = 1\n", "hidden/inner.py": "Y = 1\n"}
    release = root.release("main", A, python=python, modules=modules)
    (release / "site" / "evil.pth").write_text("hidden\nimport sys; sys.acted = True\n")
    compile_tree(release / "site", Path(python))
    index(release, python, ("package",))
    code = """
import efsprov.bootstrap, package, importlib.util
out([package.X, hasattr(sys, "acted"), any(p.endswith("hidden") for p in sys.path), importlib.util.find_spec("inner") is None])
"""
    assert run(code, CHANNEL="main", python=python, ACCEL=accel).value == [1, False, False, True]


def test_zips_on_the_path_are_left_to_those_who_read_them(hard, run, python, tmp_path):
    """The shim needs no zipfile, and the modules that a zip holds are found as ever, before and after the release."""
    with zipfile.ZipFile(tmp_path / "first.zip", "w") as first, zipfile.ZipFile(tmp_path / "last.zip", "w") as last:
        first.writestr("zipped_first.py", "WHERE = 'first'\n")
        last.writestr("zipped_last.py", "WHERE = 'last'\n")
        last.writestr("both.py", "KIND = 'in a zip'\n")
    code = f"""
sys.path.insert(0, {str(tmp_path / "first.zip")!r})
sys.path.append({str(tmp_path / "last.zip")!r})
loaded = set(sys.modules)
import efsprov.bootstrap, package, package.a, shadow
needless = sorted({{"zipfile", "zipimport"}} & (set(sys.modules) - loaded))
import zipped_first, zipped_last, both
out([needless, zipped_first.WHERE, zipped_last.WHERE, both.KIND, type(zipped_last.__loader__).__name__])
"""
    assert run(code, CHANNEL="hard", python=python).value == [[], "first", "last", "package", "zipimporter"]


def test_the_index_is_what_answers(hard, run, python):
    """Without its files' names: what the folder holds is not looked at, what the pack holds is what runs."""
    code = """
import os, efsprov.bootstrap as b
listed = []
sys.addaudithook(lambda event, args: listed.append(str(args[0])) if event in ("os.listdir", "os.scandir", "open") else None)
site = b.releases["hard"].site
import package, both, folder.only, shadow
out([type(sys.path_importer_cache[p]).__name__ for p in (site, site + "/package", site + "/folder")]
    + [both.KIND, folder.only.KIND, shadow.KIND] + [p for p in listed if p.startswith(site)])
"""
    assert run(code, CHANNEL="hard", python=python).value == ["IndexedFinder"] * 3 + [
        "package",
        "in a namespace",
        "module",
    ]


def test_a_loader_is_a_plain_one_once_it_has_been_used(hard, run, python):
    code = """
import importlib.util, pickle, copy, efsprov.bootstrap
fresh, again = importlib.util.find_spec("shadow"), importlib.util.find_spec("shadow")
unused = pickle.loads(pickle.dumps(fresh.loader))
import shadow
after = importlib.util.find_spec("shadow")
out([fresh == again, type(shadow.__loader__).__name__, sorted(vars(shadow.__loader__)), shadow.__loader__ is shadow.__spec__.loader,
     unused.get_code("shadow").co_filename == shadow.__file__, copy.copy(fresh.loader).get_code("shadow").co_name])
"""
    value = run(code, CHANNEL="hard", python=python).value
    assert value == [True, "SourceFileLoader", ["name", "path"], True, True, "<module>"]


def test_a_module_runs_as_a_program(hard, run, python, tmp_path):
    script = 'import subprocess; subprocess.run([sys.executable, \'-c\', \'import sys, efsprov.bootstrap, runpy; \
sys.argv = ["x", "argument"]; runpy.run_module("package", run_name="__main__", alter_sys=True)\'], check=True)'
    texts = []
    for accel in "0", "1":
        done = run(
            script.replace("check=True)", "check=True, stdout=open('printed', 'w')); out(open('printed').read())"),
            CHANNEL="hard",
            python=python,
            ACCEL=accel,
        )
        texts.append(done.value)
    assert texts[0] == texts[1] == "main __main__ package package.__main__ ['argument']\n"


def test_children_import_from_the_index_too(hard, run, python, tmp_path):
    """Spawned ones get the path from their parent before they import the shim; forked ones have no threads."""
    script = tmp_path / "main.py"
    script.write_text("""
import efsprov.bootstrap as b, multiprocessing, sys, warnings, json
warnings.simplefilter("error")
import package
def work(_):
    import shadow, folder.only
    site = b.releases["hard"].site
    return [type(sys.path_importer_cache[site]).__name__, type(package.C()).__module__, package.X, shadow.KIND]
if __name__ == "__main__":
    seen = []
    for method in "fork", "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(1) as pool:
            seen += pool.map(work, [0])
    print(json.dumps(seen))
""")
    code = f"import subprocess; subprocess.run([sys.executable, {str(script)!r}], check=True)"
    outcome = run(code, CHANNEL="hard", python=python)
    assert outcome.value == [["IndexedFinder", "package", [1], "module"]] * 3, outcome.stderr


def test_quoted_lines_are_those_of_the_source_and_are_not_asked_for_again(hard, run, python):
    """`checkcache` throws away what it finds changed or gone; what is in the pack it believes."""
    code = """
import linecache, os, efsprov.bootstrap, quoting, encoded
path = quoting.__file__
before = list(linecache.cache[path])
os.rename(path, path + ".gone")
try: linecache.checkcache(path)
finally: os.rename(path + ".gone", path)
with open(path) as file: lines = file.readlines()
out([before[1], before[2:] == [lines, path], linecache.cache[path] == tuple(before), before[0] == os.path.getsize(path),
     quoting.LINE, linecache.getline(encoded.__file__, 2)])
"""
    value = run(code, CHANNEL="hard", python=python).value
    assert value == [None, True, True, True, "LINE = traceback.extract_stack()[-1].line", "X = '\xe4'\n"]


def test_namespaces_and_names_over_several_releases(root, run, python):
    """Portions of a namespace package are joined, and the first release wins where both have a module."""
    for channel, release_id, text in ("first", A, "WHO = 'first'\n"), ("second", B, "WHO = 'second'\n"):
        release = root.release(
            channel, release_id, python=python, modules={f"spread/{channel}.py": text, "same.py": text}
        )
        compile_tree(release / "site", Path(python))
        index(release, python, ("same",))
    code = "import efsprov.bootstrap, spread.first, spread.second, same; out([spread.first.WHO, spread.second.WHO, same.WHO, len(spread.__path__)])"
    assert run(code, CHANNEL="first,second", python=python).value == ["first", "second", "first", 2]


def test_the_programs_own_modules_win(hard, run, python, tmp_path):
    (tmp_path / "shadow.py").write_text("KIND = 'own'\n")
    code = "import efsprov.bootstrap, shadow, both; out([shadow.KIND, both.KIND])"
    assert run(code, CHANNEL="hard", python=python).value == ["own", "package"]


def test_a_path_that_names_a_folder_otherwise_works_plainly(hard, run, python):
    code = """
import efsprov.bootstrap as b
site = b.releases["hard"].site
sys.path[:0] = [site + "/package/../folder", site + "/folder/", site + "/nothing", site + "/package/data/table.txt"]
import only
out([only.KIND, type(sys.path_importer_cache[site + "/package/../folder"]).__name__])
"""
    assert run(code, CHANNEL="hard", python=python).value == ["in a namespace", "FileFinder"]


def test_threads_import_at_once(hard, run, python):
    code = """
import threading, importlib, efsprov.bootstrap
names = ["package", "both", "folder.only", "shadow", "quoting", "encoded", "package.data", "folder.deep.er.x"]
failed = []
def work(name):
    try: importlib.import_module(name)
    except BaseException as e: failed.append(repr(e))
threads = [threading.Thread(target=work, args=(name,)) for name in names * 4]
for t in threads: t.start()
for t in threads: t.join()
out([failed, sorted(n for n in names if n not in sys.modules)])
"""
    assert run(code, CHANNEL="hard", python=python).value == [[], []]


def test_pickles_do_not_know_how_they_were_imported(hard, run, python):
    code = "import efsprov.bootstrap, package, pickle; out(pickle.dumps([package.C(), package.f, package.C]).hex())"
    pickled = [run(code, CHANNEL="hard", python=python, ACCEL=accel).value for accel in "01"]
    assert pickled[0] == pickled[1]
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(bytes.fromhex(pickled[0]))


def test_verbosity_options_that_ask_for_other_bytecode_are_honoured(hard, run, python):
    code = "import efsprov.bootstrap, shadow; out([shadow.KIND, type(sys.path_importer_cache[sys.path[1]]).__name__])"
    for flags in ["-O"], ["-OO"], ["--check-hash-based-pycs", "always"]:
        outcome = run(code, CHANNEL="hard", python=python, flags=flags)
        assert outcome.value == ["module", "FileFinder"], flags
        assert len([line for line in outcome.stderr.splitlines() if line.startswith("efsprov: ")]) == 1


def test_nothing_is_left_running_or_open(hard, run, python):
    """Threads end by themselves, and of the release only packs stay open, for what is imported later."""
    code = """
import os, time, efsprov.bootstrap, package, quoting, encoded, extension
for _ in range(500):
    if len(os.listdir("/proc/self/task")) == 1: break
    time.sleep(0.01)
import shadow
opened = [os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)]
opened = [p for p in opened if "/releases/" in p and not p.endswith(".so")]
out([len(os.listdir("/proc/self/task")), [os.path.basename(os.path.dirname(p)) for p in opened]])
"""
    tasks, folders = run(code, CHANNEL="hard", python=python).value
    assert (tasks, set(folders)) == (1, {"import.packs"})
