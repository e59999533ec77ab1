"""The commands of the tutorial and then those of the README, run as they stand, with the real TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.run_commands import Command, commands_of, script_of

TOP = Path(__file__).parents[2]
# One worker runs both: what they share takes two minutes to make.
pytestmark = [pytest.mark.framework, pytest.mark.xdist_group("tutorial")]


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """Where it was run, and what it printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    *commands, last = commands_of((TOP / "docs/tutorial/first-release.md").read_text("utf-8"))
    assert last.text.startswith("rm -r ")  # the README's commands go on with what it would remove
    return folder, run(folder, commands)


def run(folder, commands):
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "COLUMNS": "200",
        **{name: text for name, text in os.environ.items() if name.startswith(("PIP_", "UV_", "PYENV_ROOT"))},
    }
    done = subprocess.run(
        ["bash", "-c", script_of(commands)],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_tutorial_installs_upgrades_and_rolls_back(tutorial):
    _, printed = tutorial
    assert "2.15.0 tf.Tensor(-2.0" in printed
    assert "'determinant': -2.0" in printed
    assert "nothing to do" in printed
    assert "2.15.1" in printed


def test_the_commands_of_the_readme(tutorial):
    folder, _ = tutorial
    [root] = folder.glob("*/efs")
    commands = commands_of((TOP / "README.md").read_text("utf-8"))
    assert [command.text.split()[:2] for command in commands] == [["efsprov", "sync"], ["efsprov", "rollback"]]
    before = Command(f"efsprov sync --root {root} --framework tensorflow==2.15.1 --again", 0)
    after = Command(f"efsprov history --root {root}", 0)
    printed = run(
        folder, [before, *(Command(text.replace("/mnt/efs", str(root)), code) for text, code in commands), after]
    )
    assert printed.count("  rollback  20") == 2
