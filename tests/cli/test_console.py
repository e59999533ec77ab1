"""Tables in terminals of any width: what one copies is never cut."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import RUNTIME

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def at_width(efsprov):
    """at_width(columns, *arguments): what a terminal of that width gets."""

    def run(columns, *arguments, **environment):
        leader, follower = pty.openpty()
        command = [sys.executable, "-c", "from efsprov.cli.entry import main; main()", *map(str, arguments)]
        env = {**efsprov.environment, "COLUMNS": str(columns), "TERM": "xterm", **environment}
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        process = subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=env, cwd=efsprov.folder)
        os.close(follower)
        output = b""
        while True:
            try:
                if select.select([leader], [], [], 30)[0] and (chunk := os.read(leader, 65536)):
                    output += chunk
                    continue
            except OSError:  # EIO: the other side is closed
                pass
            break
        os.close(leader)
        assert process.wait(30) == 0
        return ESCAPES.sub("", output.decode()).replace("\r\n", "\n")

    return run


@pytest.fixture
def releases(efsprov):
    return [efsprov.sync(f"tiny=={version}", "--json").json["result"]["release"] for version in ("1.0", "2.0", "3.0")]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["color", "no color", "dumb"])
def test_ids_and_versions_are_whole_at_any_width(efsprov, at_width, releases, columns, environment):
    root = ("--root", efsprov.root)
    for verb in ("list", "history", "status"):
        shown = at_width(columns, verb, *root, **environment)
        assert "\u2026" not in shown
        for release in releases if verb != "status" else releases[-1:]:
            assert release in shown
    shown = at_width(columns, "plan", *root, "--runtime", RUNTIME, "tiny==1.0", **environment)
    assert "\u2026" not in shown
    assert re.search(r"tiny\s+1\.0|version\s+1\.0", shown)


def test_the_current_release_is_marked_at_any_width(efsprov, at_width, releases):
    for columns in (40, 80, 140):
        shown = at_width(columns, "list", "--root", efsprov.root)
        assert "current" in shown
        assert "->" in shown
    wide = at_width(140, "list", "--root", efsprov.root)
    line = next(line for line in wide.splitlines() if releases[-1] in line)
    assert line.startswith("->")
    assert "tiny==3.0" in line


def test_a_pipe_gets_lines_as_long_as_they_are(efsprov, releases):
    done = efsprov("list", "--root", efsprov.root, COLUMNS="40")
    assert all(release in done.out for release in releases)
    assert len([line for line in done.out.splitlines() if "tiny==" in line]) == 3
