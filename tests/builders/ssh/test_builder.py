"""The ssh builder over a real sshd: a stand-in build behind the real remote side."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from efsprov.builders.ssh.builder import SshBuilder
from efsprov.core.errors import BuilderError, GateError, RootError


class Seen(list):
    """What was emitted; ``act`` is called with each message."""

    def __init__(self, act=None):
        super().__init__()
        self.act = act

    def __call__(self, event):
        if event.step != "launch":
            self.append(event)
            if self.act:
                self.act(event.message)

    @property
    def messages(self):
        return [event.message for event in self]


def test_events_come_in_order_and_then_the_result(builder, make_request):
    seen = Seen()
    result = builder.run(make_request("events 500"), seen)
    assert result.release == "20261121T063000Z-3f2a9c1b"
    assert seen.messages == [f"event {n}" for n in range(500)]


def test_nothing_of_a_finished_run_stays(builder, sshd, make_request):
    request = make_request()
    builder.run(request, Seen())
    assert not (sshd.state / "efsprov" / "runs" / request.run).exists()


@pytest.mark.parametrize(("note", "kind"), [("refuse", GateError), ("full", RootError)])
def test_an_error_there_is_the_same_error_here(builder, make_request, note, kind):
    with pytest.raises(kind) as caught:
        builder.run(make_request(note), Seen())
    assert caught.value.hint


def test_a_bug_there_is_reported_with_its_trace(builder, make_request):
    with pytest.raises(BuilderError, match="ZeroDivisionError: a bug") as caught:
        builder.run(make_request("bug"), Seen())
    assert "standin.py" in caught.value.message


def test_a_build_that_is_killed_is_reported_with_its_last_words(builder, make_request):
    with pytest.raises(BuilderError, match="SIGKILL") as caught:
        builder.run(make_request("noise 10", "die SIGKILL"), Seen())
    assert "memory" in caught.value.hint
    assert "yyyyyyyyyy" in caught.value.message


def test_a_connection_cut_three_times_is_picked_up_and_no_event_is_lost(builder, sshd, make_request, tmp_path):
    cuts = []

    def act(message):
        if message.startswith("cut"):
            cuts.append(sshd.cut())
            (tmp_path / message).touch()

    notes = [n for i in range(3) for n in ("events 50", f"say cut{i}", f"wait {tmp_path / f'cut{i}'}", "events 50")]
    seen = Seen(act)
    result = builder.run(make_request(*notes), seen)
    assert result.outcome == "published"
    assert len(cuts) == 3
    assert all(cuts)
    one = [f"event {n}" for n in range(50)]
    assert seen.messages == [*one, "cut0", *one, *one, "cut1", *one, *one, "cut2", *one]


def test_what_a_build_prints_is_not_taken_for_events_and_is_not_kept(builder, sshd, make_request):
    seen = Seen()
    request = make_request("noise 20000000", "say done")
    builder.run(request, seen)
    assert seen.messages == ["done"]


def test_long_messages_are_cut(builder, make_request):
    seen = Seen()
    builder.run(make_request("long 5000000"), seen)
    assert len(seen.messages[0]) < 9000


def test_progress_is_thinned_out(builder, make_request):
    seen = Seen()
    builder.run(make_request("progress 100000"), seen)
    assert len(seen) < 1000


def test_the_environment_arrives_and_is_in_no_file_there(target, builder, sshd, make_request, tmp_path):
    secret = "canary-7f3a"
    seen = Seen(lambda message: (tmp_path / "go").touch() if message == secret else None)
    found = []

    def look(message):
        if message == "look":
            runs = sshd.state / "efsprov" / "runs"
            found.extend(p for p in runs.rglob("*") if p.is_file() and secret.encode() in p.read_bytes())
            shown = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
            found.extend(line for line in shown.splitlines() if secret in line)
            (tmp_path / "go").touch()

    seen = Seen(look)
    with_secret = SshBuilder(target, builder.program, environment={"UV_INDEX_CANARY_PASSWORD": secret})
    with_secret.run(make_request("say look", f"wait {tmp_path / 'go'}"), seen)
    assert found == []
    output = Seen()
    with_secret.run(make_request("environment UV_INDEX_CANARY_PASSWORD"), output)
    assert output.messages == [secret]


def test_ctrl_c_ends_the_build_and_its_children_there(builder, sshd, make_request, tmp_path):
    def act(message):
        if message == "there":
            raise KeyboardInterrupt

    request = make_request("child 3333", "say there", f"wait {tmp_path / 'never'}")
    with pytest.raises(KeyboardInterrupt):
        builder.run(request, Seen(act))
    assert not (sshd.state / "efsprov" / "runs" / request.run).exists()
    shown = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert "sleep 3333" not in shown


def test_a_run_that_was_done_before_it_could_be_stopped_is_reported_as_done(builder, sshd, make_request):
    request = make_request("say here")
    log = sshd.state / "efsprov" / "runs" / request.run / "log"
    output = []

    def interrupt(event):
        output.append(event.message)
        if event.message == "here":
            while b'"result"' not in log.read_bytes():
                time.sleep(0.02)
            raise KeyboardInterrupt

    assert builder.run(request, interrupt).outcome == "published"
    assert "done before it could be stopped" in output[-1]
    assert not log.exists()


def test_a_run_that_takes_too_long_is_stopped(target, builder, make_request, tmp_path):
    hasty = SshBuilder(target, builder.program, seconds=1)
    with pytest.raises(BuilderError, match="longer than the 1 s that it may take") as caught:
        hasty.run(make_request(f"wait {tmp_path / 'never'}"), Seen())
    assert "--timeout" in caught.value.hint


def test_a_run_goes_on_when_whoever_started_it_is_gone(builder, sshd, make_request, tmp_path):
    """The orchestrator is killed; the build goes on to its end all the same."""
    request = make_request("say there", f"wait {tmp_path / 'go'}", f"mark {tmp_path / 'done'}")

    class GoneError(Exception):
        pass

    def act(message):
        sshd.cut()
        raise GoneError

    with pytest.raises(GoneError):
        builder.run(request, Seen(act))
    (tmp_path / "go").touch()
    until = time.monotonic() + 30
    while not (tmp_path / "done").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_same_run_asked_for_twice_is_one_run(builder, make_request, tmp_path):
    request = make_request("say x", f"wait {tmp_path / 'go'}")
    results, seen = [], [Seen(), Seen(lambda message: (tmp_path / "go").touch())]
    threads = [threading.Thread(target=lambda s=s: results.append(builder.run(request, s))) for s in seen]
    threads[0].start()
    while not seen[0]:
        time.sleep(0.01)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert [s.messages for s in seen] == [["x"], ["x"]]


def test_a_supervisor_that_is_killed_is_reported(builder, sshd, make_request, tmp_path):
    request = make_request("say there", f"wait {tmp_path / 'never'}")

    def act(message):
        lock = sshd.state / "efsprov" / "runs" / request.run / "lock"
        pid = int(lock.read_text())
        worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        os.killpg(worker, signal.SIGKILL)

    with pytest.raises(BuilderError, match="killed with all that watched over it"):
        builder.run(request, Seen(act))


def test_an_unreachable_host_is_reported_after_few_tries(target, builder, make_request):
    away = SshBuilder(type(target)(**{**target.__dict__, "port": 1}), builder.program)
    with pytest.raises(BuilderError, match="cannot be reached"):
        away.run(make_request(), Seen())
