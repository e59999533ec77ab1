"""What a running step says on a terminal's bar and in a log, of the events that it gets."""

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from efsprov.cli import progress
from efsprov.cli.progress import shown_progress
from efsprov.core.events import Event
from tests.cli.conftest import RUNTIME


@pytest.fixture
def output(capsys):
    def say(*events):
        with shown_progress() as emit:
            for event in events:
                emit(event)
        return capsys.readouterr().err

    return say


def copying(done, **result):
    return Event(step="copy", state="progress", done=done, total=1_000_000_000, **result)


def test_a_step_tells_its_own_rate_and_time_left():
    event = copying(900_000_000, message="90 of 100 files, 80 linked (800 MB)", rate=1e7, seconds_left=65.0)
    assert (
        progress.figures_of(event, elapsed=10.0)
        == "900 MB of 1.0 GB, 10.0 MB/s, 1 min 5 s left, 90 of 100 files, 80 linked (800 MB)"
    )


def test_while_a_step_cannot_tell_the_time_left_nobody_does():
    assert progress.figures_of(copying(900_000_000, rate=0.0), elapsed=10.0) == "900 MB of 1.0 GB, 0 B/s"


def test_of_a_download_rate_and_time_left_follow_from_what_is_done():
    event = Event(step="fetch", state="progress", done=250_000_000, total=1_000_000_000)
    assert progress.figures_of(event, elapsed=10.0) == "250 MB of 1.0 GB, 25.0 MB/s, 30 s left"


def test_files_are_counted_where_bytes_are_not():
    event = Event(step="check", state="progress", done=3, total=4, unit="files")
    assert progress.figures_of(event, elapsed=3.0) == "3 of 4 files, 1.0 s left"


def test_a_pipe_gets_plain_lines(output):
    done = Event(step="copy", state="finished", message="100 files written", seconds=2.0)
    assert output(Event(step="copy", state="started"), done) == "Copying to the root: 100 files written, 2.0 s\n"


def test_what_a_step_says_between_is_a_line(output):
    assert output(Event(step="launch", state="progress", message="waiting")) == "Launching the builder: waiting\n"


def test_remarks_are_marked(output):
    assert output(Event(step="check", state="warning", message="look [here]")) == "warning: look [here]\n"


def on_a_terminal(efsprov, *arguments):
    """What a command shows on a terminal, its last frame last."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from efsprov.cli.main import main; main()", *map(str, arguments)]
    environment = {
        **efsprov.environment,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    with subprocess.Popen(command, cwd=efsprov.folder, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other end is closed
            while select.select([ours], [], [], 60)[0] and (part := os.read(ours, 65536)):
                shown += part
    os.close(ours)
    return process.returncode, re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n")


def test_a_step_that_fails_has_a_cross_in_the_end_and_what_went_before_a_tick(efsprov):
    code, shown = on_a_terminal(efsprov, "sync", "--root", efsprov.root, "--framework", "broken", "--runtime", RUNTIME)
    assert code == 7
    last = {label: mark for mark, label in re.findall(r"^(\S) (Resolving|Installing|Smoke test)", shown, re.MULTILINE)}
    assert last == {"Resolving": "✓", "Installing": "✓", "Smoke test": "✗"}


def test_a_step_that_fails_after_its_last_byte_or_is_begun_again_has_a_cross_too(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=screen, force_terminal=True, width=120, color_system=None))
    with contextlib.suppress(ZeroDivisionError), shown_progress() as emit:
        emit(Event(step="resolve", state="started"))
        emit(Event(step="resolve", state="finished", seconds=1))
        emit(Event(step="copy", state="progress", done=5, total=5))
        emit(Event(step="fetch", state="finished", seconds=1))
        emit(Event(step="fetch", state="started"))
        raise ZeroDivisionError
    last = dict(map(reversed, re.findall(r"(\S) (Resolving|Copying|Downloading)", screen.getvalue())))
    assert last == {"Resolving": "✓", "Copying": "✗", "Downloading": "✗"}
