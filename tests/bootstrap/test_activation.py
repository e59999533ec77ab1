"""What importing the shim does to a process, and what it does not do."""

A, B = "20261121T063000Z-3f2a9c1b", "20261122T063000Z-0000beef"


def test_order_of_the_path(root, run, tmp_path, python):
    """The program's own folder, the releases in the order of EFSPROV_CHANNEL, all else."""
    sites = [str(root.release(name, A, python=python) / "site") for name in ("second", "first")]
    outcome = run("import efsprov.bootstrap; out(sys.path)", CHANNEL="first,second", python=python)
    assert outcome.value[:3] == ["", *reversed(sites)]
    script = tmp_path / "app" / "main.py"
    script.parent.mkdir()
    script.write_text("import sys, json, efsprov.bootstrap; print(json.dumps(sys.path))")
    code = f"import runpy; sys.path[0] = {str(script.parent)!r}; runpy.run_path({str(script)!r})"
    assert run(code, CHANNEL="first", python=python).value[:2] == [str(script.parent), sites[1]]


def test_order_of_the_path_in_a_function(root, run):
    """Handler, releases, layers, the runtime's own packages: what /var/task holds wins, /var/runtime's boto3 does not."""
    site = str(root.release("tensorflow", A) / "site")
    lambda_path = ["/var/task", "/opt/python", "/var/runtime"]
    code = f"sys.path[0:1] = {lambda_path}; import efsprov.bootstrap; out(sys.path)"
    value = run(code, CHANNEL="tensorflow", LAMBDA_TASK_ROOT="/var/task").value
    assert value[:4] == ["/var/task", site, "/opt/python", "/var/runtime"]


def test_an_isolated_interpreter_has_no_folder_of_its_own(root, run):
    site = str(root.release("tensorflow", A) / "site")
    source = next(p for p in run("out(sys.path)").value if p)
    code = f"sys.path.append({source!r}); import efsprov.bootstrap; out(sys.path[0])"
    assert run(code, CHANNEL="tensorflow", flags=["-I"]).value == site


def test_first_channel_wins(root, run):
    root.release("first", A)
    root.release("second", B)
    code = "import efsprov.bootstrap, marker, only; out([marker.ID, only.HERE])"
    root.release("second", B, modules={"only.py": "HERE = 'second'"})
    assert run(code, CHANNEL="first, second").value == [A, "second"]


def test_importing_again_changes_nothing(root, run, python):
    root.release("tensorflow", A, python=python)
    code = """
import importlib, efsprov.bootstrap as b
path = list(sys.path)
importlib.reload(b)
del sys.modules["efsprov.bootstrap"], sys.modules["efsprov.bootstrap._pin"]
import efsprov.bootstrap
out(path == sys.path)
"""
    assert run(code, CHANNEL="tensorflow", python=python).value is True


def test_children_run_the_release_of_their_parent(root, run, tmp_path, python):
    """Whether forked or spawned, and whatever became current in the meantime."""
    base = root.release("tensorflow", A, python=python).parents[1]
    root.release("tensorflow", B, python=python, current=False)
    script = tmp_path / "main.py"
    script.write_text(f"""
import efsprov.bootstrap as b, marker, multiprocessing, os, json
def work(_):
    return [marker.ID, b.releases["tensorflow"].id]
if __name__ == "__main__":
    os.unlink({str(base / "current")!r}); os.symlink("releases/{B}", {str(base / "current")!r})
    seen = []
    for method in "fork", "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(1) as pool:
            seen += pool.map(work, [0])
    print(json.dumps(seen))
""")
    code = f"import subprocess; subprocess.run([sys.executable, {str(script)!r}], check=True)"
    outcome = run(code, CHANNEL="tensorflow", python=python)
    assert outcome.value == [[A, A]] * 3, outcome.stderr
    assert run("import efsprov.bootstrap, marker; out(marker.ID)", CHANNEL="tensorflow", python=python).value == B


def test_only_the_standard_library_is_imported(root, run, python):
    """And of it nothing that an interpreter has not loaded by itself or within itself: each file costs a cold start."""
    root.release("tensorflow", A, python=python)
    code = """
import os
before = set(sys.modules)
import efsprov.bootstrap
out(sorted(set(sys.modules) - before - set(sys.builtin_module_names)))
"""
    outcome = run(code, CHANNEL="tensorflow", python=python, flags=["-S"])
    own = ["_caches", "_collection", "_finder", "_index", "_pin", "_readahead"]
    assert outcome.value == ["efsprov", "efsprov.bootstrap", *(f"efsprov.bootstrap.{name}" for name in own)]


def test_nothing_is_written_and_nothing_is_asked_of_the_network(root, run, python):
    root.release("tensorflow", A, python=python)
    code = """
seen = []
sys.addaudithook(lambda event, args: seen.append([event, *map(repr, args)]))
import efsprov.bootstrap
out([s for s in seen if s[0].startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork"))
     or s[0] in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.utime")
     or s[0] == "open" and int(s[3]) & 3])
"""
    assert run(code, CHANNEL="tensorflow", python=python).value == []
