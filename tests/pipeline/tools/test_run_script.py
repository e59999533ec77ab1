"""One way to run a script of efsprov's in another interpreter."""

import json
import sys
from pathlib import Path

import pytest

from efsprov.pipeline.tools.run_script import BoxedScript, clean_environment, run_boxed_script, run_script

PYTHON = Path(sys.executable)


@pytest.fixture
def script(tmp_path):
    """script(text) writes one."""

    def write(text):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        path = tmp_path / "scripts" / "one.py"
        path.write_text(text)
        return path

    return write


def test_it_gets_arguments_and_input_and_answers(script):
    path = script("import sys\nprint(sys.argv[1:], sys.stdin.read())\n")
    done = run_script(PYTHON, path, ["a", Path("/b")], given=b"text")
    assert (done.code, done.stdout, done.stderr) == (0, b"['a', '/b'] text\n", "")


def test_the_interpreter_is_isolated_and_writes_no_bytecode(script):
    path = script(
        "import json, sys\nprint(json.dumps([sys.flags.isolated, sys.flags.no_site, sys.dont_write_bytecode]))\n"
    )
    assert json.loads(run_script(PYTHON, path, []).stdout) == [1, 1, True]


def test_the_last_line_is_the_exception(script):
    done = run_script(PYTHON, script("raise OSError('the reason')\n"), [])
    assert (done.code, done.last_line) == (1, "OSError: the reason")


def test_an_end_without_a_line_is_named_by_its_code(script):
    assert run_script(PYTHON, script("raise SystemExit(3)\n"), []).last_line == "it ended with 3"


def test_a_clean_environment_has_no_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    found = clean_environment(tmp_path)
    assert "canary" not in found.values()
    assert (found["HOME"], found["TMPDIR"]) == (str(tmp_path), str(tmp_path))


@pytest.mark.parametrize("kind", ["namespaces", "process"])
def test_a_boxed_script_has_what_it_names_and_no_more(script, tmp_path, kind):
    home = tmp_path / "home"
    home.mkdir()
    path = script("import os, sys\nprint(os.getcwd(), sys.argv[1], os.environ['MORE'])\nopen('mark', 'w')\n")
    boxed = BoxedScript(path, ("x",), home=home, writable=(home,), variables={"MORE": "1"}, seconds=60)
    outcome = run_boxed_script(PYTHON, boxed, kind=kind)
    assert (outcome.code, outcome.output) == (0, f"{home} x 1\n")
    assert (home / "mark").exists()
