"""What the host is told: start, attach, cancel, remove; as processes, on this machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from efsprov.builders.remote.runs import LogReader, RunFolder, remove_old_runs
from efsprov.builders.remote.wire import Line
from efsprov.builders.remote.work import StartMessage
from efsprov.core.errors import BuilderError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def remote(*arguments, stdin=b""):
    return subprocess.run(
        [sys.executable, "-m", "tests.builders.standin", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )


def message(request, **settings):
    return StartMessage(request=request, **settings).model_dump_json().encode()


def attached(run, after=0):
    """What attach prints, with somebody at the other end who stays."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.builders.standin", "attach", run, str(after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    try:
        return [json.loads(line) for line in process.stdout]
    finally:
        process.kill()
        process.communicate()


def test_a_run_can_be_read_again_from_any_number_on(make_request):
    request = make_request("events 5")
    assert remote("start", stdin=message(request)).returncode == 0
    lines = attached(request.run)
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert list(lines[-1]) == ["number", "result"]
    assert attached(request.run, 4) == lines[4:]
    assert attached(request.run, 5) == lines[5:]


def test_another_request_under_the_same_run_is_refused(make_request):
    request = make_request()
    assert remote("start", stdin=message(request)).returncode == 0
    done = remote("start", stdin=message(request.model_copy(update={"channel": "other"})))
    assert json.loads(done.stdout)["error"]["code"] == "conflict"


@pytest.mark.parametrize("stdin", [b"", b"{}", b'{"request": {}}', b"\xff"])
def test_a_message_that_is_none_is_refused_without_being_shown(stdin):
    done = remote("start", stdin=stdin)
    assert done.returncode == BuilderError.exit_code
    assert json.loads(done.stdout)["error"]["code"] == "builder"


@pytest.mark.parametrize("run", ["../../../etc", "a/b", "", ".", "a b"])
def test_a_run_that_is_a_path_is_refused(run):
    with pytest.raises(BuilderError):
        RunFolder.of(run)


def test_attach_ends_when_its_other_end_does(make_request, tmp_path):
    request = make_request(f"wait {tmp_path / 'go'}")
    remote("start", stdin=message(request))
    done = remote("attach", request.run, 0)  # stdin ends at once
    assert done.stdout == b""
    (tmp_path / "go").touch()
    assert list(attached(request.run)[-1]) == ["number", "result"]


def test_a_run_that_is_not_there_is_reported():
    (line,) = attached("0123456789abcdef")
    assert "There is no run" in line["error"]["message"]


def test_cancel_and_remove(make_request, tmp_path):
    request = make_request(f"wait {tmp_path / 'never'}")
    remote("start", stdin=message(request))
    folder = RunFolder.of(request.run)
    assert folder.worker_pid() is not None
    assert remote("cancel", request.run).returncode == 0
    assert attached(request.run)[-1]["error"]["code"] == "cancelled"
    while folder.worker_pid() is not None:
        time.sleep(0.01)
    assert remote("remove", request.run).returncode == 0
    assert not folder.path.exists()
    assert remote("cancel", request.run).returncode == 0


def test_runs_that_ended_long_ago_are_forgotten(tmp_path):
    folder = RunFolder.of("0123456789abcdef")
    folder.path.mkdir(parents=True)
    os.utime(folder.path, (1, 1))
    with folder.held():
        os.utime(folder.path, (1, 1))
        subprocess.run(
            [sys.executable, "-c", "from efsprov.builders.remote.runs import *; remove_old_runs()"], check=True
        )
        assert folder.path.exists(), "it is at work"
    os.utime(folder.path, (1, 1))
    remove_old_runs()
    assert not folder.path.exists()


def test_a_line_is_read_when_it_is_whole():
    folder = RunFolder.of("0123456789abcdef")
    folder.path.mkdir(parents=True)
    reader = LogReader(folder, after=0)
    assert list(reader.read()) == []
    one, two = (Line(n, "event", {"step": "stage", "state": "note"}).dump() for n in (1, 2))
    folder.log.write_bytes(one + two[:9])
    assert [line.number for line in reader.read()] == [1]
    assert list(reader.read()) == []
    folder.log.write_bytes(one + two)
    assert [line.number for line in reader.read()] == [2]


def test_the_remote_side_imports_nothing_that_it_does_not_need():
    code = "import sys, efsprov.builders.remote.__main__; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore", "fabric", "paramiko", "typer", "rich", "tenacity", "cryptography"} & set(
        done.stdout.split()
    )
