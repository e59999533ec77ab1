"""The program itself: quick to say its version, and not stopped by a terminal's encoding."""

import os
import subprocess
import sys

import pytest

START = "import sys; sys.argv[0] = 'efsprov'; from efsprov.cli.entry import main; main()"


def efsprov(*arguments, **environment):
    command = [sys.executable, "-c", START, *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("EFSPROV_", "LC_", "LANG"))}
    return subprocess.run(command, capture_output=True, check=False, env={**env, **environment})


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8", "cp1252"])
def test_any_encoding_of_the_terminal_takes_what_is_printed(tmp_path, encoding):
    (tmp_path / "efs").mkdir()
    done = efsprov("model", "push", "--root", tmp_path / "efs", "net", sys.executable, PYTHONIOENCODING=encoding)
    assert b"Traceback" not in done.stderr
    root, file = tmp_path / "efs", tmp_path / "n\u00e4t\u2713.npy"
    file.write_bytes(
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(128)
        + b"\n"
        + b"\0" * 4
    )
    done = efsprov("model", "push", "--root", root, "net", file, "--trust", PYTHONIOENCODING=encoding)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    mark = "\u2713" if encoding == "utf-8" else "OK"
    assert done.stdout.decode(encoding).startswith(f"{mark} model net: release")


def test_the_version_is_said_without_loading_the_rest():
    loaded = "import sys; sys.argv = ['efsprov', '--version']; from efsprov.cli.entry import main; main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version.startswith("efsprov ")
    assert not {"typer", "rich", "pydantic", "boto3", "paramiko"} & set(modules.split())


@pytest.mark.parametrize(
    ("verb", "unneeded"), [("list", {"boto3", "paramiko", "fabric"}), ("rollback", {"boto3", "paramiko", "fabric"})]
)
def test_a_daily_verb_loads_nothing_that_it_does_not_need(tmp_path, verb, unneeded):
    loaded = "import sys, atexit; atexit.register(lambda: print(*sys.modules)); " + START
    command = [sys.executable, "-c", loaded, verb, "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not unneeded & set(done.stdout.split())
