"""What runs in a box reaches nothing of this machine, and nothing of it is left."""

import os
import sys
from pathlib import Path

import pytest

from efsprov.pipeline.tools.box import BoxedCommand, box_kind, run_boxed
from efsprov.pipeline.tools.interpreter import interpreter_needs

NEEDS = interpreter_needs(Path(sys.executable))


@pytest.fixture(autouse=True)
def _namespaces():
    if box_kind() != "namespaces":
        pytest.skip("this kernel gives no namespaces")


@pytest.fixture
def run(tmp_path):
    """run(code) runs a program whose folder `out` is all that it may write to."""
    (tmp_path / "out").mkdir()

    def run(code, *, readable=(), **more):
        command = (str(NEEDS.executable), "-I", "-S", "-c", code)
        out = tmp_path / "out"
        return run_boxed(BoxedCommand(command, out, readable=(*NEEDS.folders, *readable), writable=(out,), **more))

    return run


def test_it_sees_what_is_named_and_the_system(run, tmp_path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file").write_text("shown")
    (tmp_path / "hidden").write_text("secret")
    code = f"import os; print(open({str(tmp_path / 'shown/file')!r}).read(), os.path.exists({str(tmp_path / 'hidden')!r}), os.path.exists('/usr/lib'))"
    assert run(code, readable=(tmp_path / "shown",)).output == "shown False True\n"


@pytest.mark.parametrize(
    "code",
    [
        "open('{0}/file', 'w')",
        "open('{0}/file', 'a')",
        "import os; os.remove('{0}/file')",
        "import os; os.chmod('{0}/file', 0o777)",
        "import os; os.mkdir('{0}/new')",
        "import os; os.utime('{0}/file')",
        "import os; os.link('{0}/file', '{0}/linked')",
        "import os; os.symlink('x', '{0}/linked')",
        "open('/usr/bin/new', 'w')",
        "open('/etc/passwd', 'w')",
        "open('/new', 'w')",
        "import ctypes; c = ctypes.CDLL(None); assert c.mount(b'none', b'{0}', None, 32 | 4096, None) != 0; raise OSError",
        "import ctypes; c = ctypes.CDLL(None); assert c.umount2(b'{0}', 2) != 0; raise OSError",
        "import ctypes; c = ctypes.CDLL(None); c.unshare(0x10000000 | 0x20000); assert c.mount(b'none', b'{0}', None, 32 | 4096, None) != 0; raise OSError",
        "import socket; socket.create_connection(('127.0.0.1', {1}), 1)",
    ],
)  # fmt: skip
def test_it_changes_nothing_and_reaches_nobody(run, tmp_path, code):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "shown").mkdir()
        (tmp_path / "shown" / "file").write_text("as it was")
        outcome = run(code.format(tmp_path / "shown", server.getsockname()[1]), readable=(tmp_path / "shown",))
    assert outcome.code == 1
    assert "OSError" in outcome.output or "PermissionError" in outcome.output or "FileNotFoundError" in outcome.output
    assert sorted(p.name for p in (tmp_path / "shown").iterdir()) == ["file"]
    assert (tmp_path / "shown" / "file").read_text() == "as it was"


def test_it_sees_no_other_process_and_no_environment(run, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    code = """
import os
pids = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
found = b"".join(open(f"/proc/{p}/environ", "rb").read() for p in pids if p != 1)
print(len(pids), b"s3cr3t" in found, os.environ.get("AWS_SECRET_ACCESS_KEY"))
"""
    assert run(code).output == "2 False None\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 40)", -40),
    ],
)
def test_how_it_ended_is_reported(run, code, expected):
    assert run(code).code == expected


def test_its_time_and_its_output_are_bounded(run):
    assert run("while True: pass", seconds=1).code is None
    outcome = run("import sys\nfor n in range(100): sys.stdout.write('x' * (1 << 20))\nprint('end')")
    assert outcome.code == 0
    assert len(outcome.output) < 200_000
    assert outcome.output.endswith("end\n")
    assert "bytes left out" in outcome.output


def test_its_files_are_bounded_and_its_folder_is_left(run, tmp_path):
    assert run("open('result', 'w').write('done')").code == 0
    assert (tmp_path / "out" / "result").read_text() == "done"


def test_with_network_it_has_the_machines(run):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('reached')"
        assert run(code, network=True).output == "reached\n"


def test_what_it_left_behind_is_gone_from_the_machine(run):
    run("import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/bin/sleep', ['sleep', '600.015625'])")
    lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if os.access(p, os.R_OK)]
    assert not any(b"600.015625" in line for line in lines)
