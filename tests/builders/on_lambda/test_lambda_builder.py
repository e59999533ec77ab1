import hashlib
import threading

import pytest

from efsprov.builders.lambda_builder import Patience
from efsprov.core.errors import BuilderError, CancelledError, GateError, SmokeError
from efsprov.store.journal import read_state
from efsprov.store.publish import rollback
from tests.builders.on_lambda.conftest import repacked
from tests.lambda_runtime.calls import client
from tests.wheelhouse import build_wheel

STINGY = """
import os, pathlib
from efsprov.builders import lambda_handler

class Context:
    '''Time until so many bytes are staged.'''
    def __init__(self, limit):
        self.limit = limit
    def get_remaining_time_in_millis(self):
        staged = pathlib.Path("/mnt/efs/deps").glob("*/*/staging/*/**/*.bin")
        return 100_000 if sum(path.stat().st_size for path in staged) <= self.limit else 0

def handler(event, context):
    if event["do"] != "build":
        return lambda_handler.handler(event, context)
    counter = pathlib.Path("/mnt/efs/invocations")
    number = len(counter.read_text()) if counter.exists() else 0
    counter.write_text("x" * (number + 1))
    limits = [int(text) for text in os.environ["LIMITS"].split(",")]
    return lambda_handler.handler(event, Context(limits[min(number, len(limits) - 1)]))
"""


def stingy(bench, limits):
    """Deploy a builder function whose time is up as soon as so many bytes are staged, in its first, second, ... invocation."""
    bench.package = repacked(bench.package, {"stingy.py": STINGY.encode()})
    bench.deploy(variables=(("LIMITS", ",".join(map(str, limits))),))
    client(bench.endpoint).update_function_configuration(FunctionName="builder", Handler="stingy.handler")


def files_of(bench, release):
    top = bench.channel().release_path(release)
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in top.rglob("*")
        if path.is_file()
    }


def test_a_build_in_one_invocation(bench):
    bench.deploy()
    result = bench.run(bench.request(bench.wheel("once", files=30)))
    assert result.outcome == "published"
    assert result.activated
    assert bench.builds() == 1
    bench.assert_one_verified_release(result.release)
    steps = [event.step for event in bench.events if event.state == "finished"]
    assert steps[-3:] == ["copy", "publish", "activate"]


def test_a_build_in_three_invocations_is_the_same_release(bench):
    wheel = bench.wheel("thrice", files=300, size=300 << 20)
    stingy(bench, [-1, 32 << 20, 1 << 40])
    result = bench.run(bench.request(wheel))
    assert bench.builds() == 3
    bench.assert_one_verified_release(result.release)
    copies = [event.message for event in bench.events if event.step == "copy" and event.state == "finished"]
    assert "kept from a run that was stopped" in copies[-1]
    in_three = files_of(bench, result.release)
    client(bench.endpoint).delete_function(FunctionName="builder")
    bench.deploy()
    again = bench.run(bench.request(wheel, channel="other"))
    bench.channel = lambda name="other": type(bench).channel(bench, "other")
    in_one = files_of(bench, again.release)
    told = {"release.json", "files", "files.sha256"}  # they name the release, and what the smoke test touched
    assert {path for path in in_three if path.startswith("site/")} == {
        path for path in in_one if path.startswith("site/")
    }
    assert {p: h for p, h in in_three.items() if p.startswith("site/")} == {
        p: h for p, h in in_one.items() if p.startswith("site/")
    }
    assert in_three.keys() - told == in_one.keys() - told


def test_a_build_that_comes_no_further_is_given_up(bench):
    stingy(bench, [-1])
    with pytest.raises(BuilderError, match="comes no further"):
        bench.builder(patience=Patience(fruitless=2)).run(bench.request(bench.wheel("never")), bench.events.append)
    assert bench.builds() == 2


def test_an_event_that_arrives_three_times_at_once_makes_one_release(bench):
    bench.deploy()
    request = bench.request(bench.wheel("triple", files=50, delay=1))
    results, threads = [], []
    for _ in range(3):
        builder = bench.builder()
        run = threading.Thread(target=lambda builder=builder: results.append(builder.run(request, lambda event: None)))
        run.start()
        threads.append(run)
    for thread in threads:
        thread.join()
    assert len({result.release for result in results}) == 1
    assert {result.outcome for result in results} == {"published"}
    bench.assert_one_verified_release(results[0].release)


def test_a_delivery_that_comes_late_does_not_undo_a_rollback(bench):
    bench.deploy()
    first = bench.run(bench.request(bench.wheel("early")))
    request = bench.request(bench.wheel("later"))
    second = bench.run(request)
    rollback(bench.channel())
    (bench.root / ".runs" / request.run / "log").unlink()  # even when nothing is left of the run but its release
    late = bench.run(request)
    assert (late.release, late.outcome, late.activated) == (second.release, "published", False)
    assert read_state(bench.channel()).current == first.release


def test_a_run_that_nobody_knows_cannot_be_gone_on_with(bench):
    bench.deploy()
    with pytest.raises(BuilderError, match="There is no run"):
        bench.builder().reattach("0123456789", "/mnt/efs", bench.events.append)


def test_a_failure_is_the_error_that_was_raised_there(bench):
    bench.deploy()
    request = bench.request(bench.wheel("fails"), imports=("nothing_like_it",))
    with pytest.raises(SmokeError, match="nothing_like_it"):
        bench.run(request)
    assert bench.builds() == 1
    assert not bench.channel().exists
    with pytest.raises(SmokeError):
        bench.run(request)  # the same event again is answered alike


UNTIL_CANCELLED = """
import pathlib, time
while not list(pathlib.Path("/mnt/efs/.runs").glob("*/cancel")):
    time.sleep(0.05)
"""


def test_a_cancelled_run_stops_and_leaves_nothing(bench):
    bench.deploy()
    # its smoke test lasts until the cancellation has arrived, on however slow a machine
    request = bench.request(
        build_wheel(bench.wheelhouse.folder, "unwanted", "1.0", {"unwanted/__init__.py": UNTIL_CANCELLED})
    )

    def interrupt(event):
        if event.step == "stage":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.builder().run(request, interrupt)
    with pytest.raises(CancelledError):
        bench.builder().reattach(request.run, "/mnt/efs", bench.events.append)
    assert not bench.channel().exists
    assert not bench.channel().staging.exists() or list(bench.channel().staging.iterdir()) == []


def test_a_run_that_was_done_before_it_could_be_stopped_is_told_as_done(bench):
    bench.deploy()
    request = bench.request(bench.wheel("swift", delay=4))
    log, told = bench.root / ".runs" / request.run / "log", []

    def interrupt(event):
        told.append(event.message)
        if event.step == "stage":
            while b'"result"' not in log.read_bytes():
                threading.Event().wait(0.05)
            raise KeyboardInterrupt

    result = bench.builder().run(request, interrupt)
    assert result.outcome == "published"
    assert "done before it could be stopped" in told[-1]
    bench.assert_one_verified_release(result.release)


def test_a_first_mount_that_times_out_is_asked_for_again(bench):
    bench.deploy()
    bench.endpoint.invoker.mount_timeouts = 2
    assert bench.run(bench.request(bench.wheel("mounted"))).outcome == "published"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"target": "python3.13-x86_64"}, GateError, "the release is for python3.13-x86_64"),
        ({"root": "/mnt/other"}, BuilderError, "/mnt/other is not on the file system"),
    ],
)
def test_a_function_that_does_not_fit_is_not_called(bench, fields, error, message):
    bench.deploy()
    with pytest.raises(error, match=message):
        bench.run(bench.request(bench.wheel("unfit"), **fields))
    assert bench.endpoint.count("Invoke") == 0


def test_a_wheel_that_brings_bytecode_is_built(bench):
    bench.deploy()
    inside = {"baked/__init__.py": "VALUE = 1\n", "baked/__pycache__/__init__.cpython-311.pyc": b"old"}
    result = bench.run(bench.request(build_wheel(bench.wheelhouse.folder, "baked", "1.0", inside)))
    bench.assert_one_verified_release(result.release)
