"""Every mutating call of every command: killed there, failing there, its reply lost there.

`crash_lab` says what is checked after each: readers, the shim, the journal, and the next command.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from efsprov.store.fs.fileops import FileOps
from tests.store.crash_lab import FAULTS
from tests.store.crash_programs import PROGRAMS
from tests.store.faulty_ops import CALLS, FaultyOps
from tests.store.mutants import MUTANTS

HERE = Path(__file__).parents[2]
KILLS = [name for name in FAULTS if name.startswith("kill")]
ERRORS = [name for name in FAULTS if name.startswith("error")]
REFUSALS = [name for name in FAULTS if name.startswith("from-then-on")]
LOST = [name for name in FAULTS if name.startswith("lost-reply")]


def disturb(program: str, faults: list[str]) -> dict:
    run = subprocess.run(
        [sys.executable, "-m", "tests.store.crash_lab", program, *faults],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["cases"] == len(report["calls"]) * len(faults) > 0
    return report


@pytest.mark.parametrize("program", PROGRAMS)
def test_killed_before_and_after_every_call(program):
    assert disturb(program, KILLS)["problems"] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_error_at_every_call(program):
    assert disturb(program, ERRORS)["problems"] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_file_system_that_refuses_everything_from_a_call_on(program):
    assert disturb(program, REFUSALS)["problems"] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_lost_reply_of_every_call(program):
    assert disturb(program, LOST)["problems"] == []


@pytest.mark.parametrize(
    ("mutant", "fault", "noticed"),
    [
        ("swap-before-journal", "kill-after", "which the journal never activated"),
        ("journal-before-rename", "kill-after", "is in the journal, but not there"),
        ("build-in-place", "kill-after", "is damaged"),
        ("prune-before-journal", "kill-after", "is in the journal, but not there"),
        ("believe-errno", "lost-reply-EEXIST", "took its own success for a failure"),
    ],
)
def test_mutants_are_noticed(mutant, fault, noticed):
    problems = disturb(mutant, [fault])["problems"]
    assert [problem for problem in problems if noticed in problem], problems


def test_all_mutants_and_all_calls_are_in_play():
    assert {
        "swap-before-journal",
        "journal-before-rename",
        "build-in-place",
        "prune-before-journal",
        "believe-errno",
    } == {*MUTANTS}
    assert {*CALLS} == {name for name in dir(FileOps) if not name.startswith("_")}
    assert all(getattr(FaultyOps, name) is not getattr(FileOps, name) for name in CALLS)
