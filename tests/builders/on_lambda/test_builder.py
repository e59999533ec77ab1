import hashlib
import threading

import pytest

from efsprov.aws.functions import get_function, read_function_tags
from efsprov.builders.on_lambda.builder import Timeouts
from efsprov.core.errors import AwsError, BuilderError, CancelledError, GateError, SmokeError
from efsprov.core.tags import BUILDER_FUNCTION
from efsprov.store.journal import read_state
from efsprov.store.publish import rollback
from tests.builders.on_lambda.conftest import repacked
from tests.devtools.lambda_sandbox.calls import client
from tests.wheelhouse import build_wheel

STINGY = """
import os, pathlib
from efsprov.builders.on_lambda import handler as lambda_handler

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
    response = {"release.json", "files", "files.sha256"}  # they name the release, and what the smoke test touched
    assert {path for path in in_three if path.startswith("site/")} == {
        path for path in in_one if path.startswith("site/")
    }
    assert {p: h for p, h in in_three.items() if p.startswith("site/")} == {
        p: h for p, h in in_one.items() if p.startswith("site/")
    }
    assert in_three.keys() - response == in_one.keys() - response


def test_a_build_that_comes_no_further_is_given_up(bench):
    stingy(bench, [-1])
    with pytest.raises(BuilderError, match="comes no further"):
        bench.builder(timeouts=Timeouts(fruitless=2)).run(bench.request(bench.wheel("never")), bench.events.append)
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


def test_a_cancelled_run_stops_and_leaves_nothing(bench):
    bench.deploy()
    request = bench.request(bench.wheel("unwanted", delay=10))  # in its smoke test when the cancellation arrives

    def interrupt(event):
        if event.step == "stage":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.builder().run(request, interrupt)
    with pytest.raises(CancelledError):
        bench.builder().reattach(request.run, "/mnt/efs", bench.events.append)
    assert not bench.channel().exists
    assert not bench.channel().staging.exists() or list(bench.channel().staging.iterdir()) == []


def test_a_run_that_was_done_before_it_could_be_stopped_is_reported_as_done(bench):
    bench.deploy()
    request = bench.request(bench.wheel("swift", delay=4))
    log, response = bench.root / ".runs" / request.run / "log", []

    def interrupt(event):
        response.append(event.message)
        if event.step == "stage":
            while b'"result"' not in log.read_bytes():
                threading.Event().wait(0.05)
            raise KeyboardInterrupt

    result = bench.builder().run(request, interrupt)
    assert result.outcome == "published"
    assert "done before it could be stopped" in response[-1]
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


def test_an_answer_that_never_comes_is_not_waited_for(bench):
    """A NAT gateway forgets the silent connection of a long build."""
    bench.deploy()
    held = bench.double.hold("lambda:Invoke", when="after")
    done = bench.run(bench.request(bench.wheel("quiet")))
    assert held.arrived.is_set()
    assert (done.outcome, bench.builds()) == ("published", 1)
    bench.assert_one_verified_release(done.release)
    held.released.set()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ENINotReadyException", 502),
        ("SubnetIPAddressLimitReachedException", 502),
        ("CodeArtifactUserPendingException", 409),
    ],
)
def test_a_function_that_is_not_ready_is_called_again(bench, code, status):
    bench.deploy()
    bench.double.fail("lambda:Invoke", code, status=status, times=2)
    done = bench.run(bench.request(bench.wheel("ready")))
    bench.assert_one_verified_release(done.release)


def test_an_error_of_lambdas_own_that_nobody_knows_does_not_end_a_build(bench):
    bench.deploy()
    bench.double.fail("lambda:Invoke", "SomethingNewException", status=503, times=2)
    done = bench.run(bench.request(bench.wheel("odd")))
    bench.assert_one_verified_release(done.release)


def test_settings_that_lambda_cannot_use_end_it_at_once(bench):
    bench.deploy()
    bench.double.fail("lambda:Invoke", "KMSAccessDeniedException", "no key", status=502, times=1)
    with pytest.raises(AwsError, match="KMSAccessDeniedException"):
        bench.run(bench.request(bench.wheel("key")))


@pytest.mark.parametrize(
    "message",
    ["The role defined for the function cannot be assumed by Lambda.",
     "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"],
)  # fmt: skip
def test_a_role_of_seconds_ago_is_tried_again(bench, message):
    bench.double.fail("lambda:CreateFunction", "InvalidParameterValueException", message, times=2)
    assert bench.deploy().action == "create"
    bench.double.fail("lambda:UpdateFunctionConfiguration", "InvalidParameterValueException", message, times=2)
    assert bench.deploy(timeout=60).action == "update"


def test_more_memory_than_a_new_account_has_is_said_with_what_to_do(bench):
    message = (
        "1 validation error detected: Value '10240' at 'memorySize' failed to satisfy constraint: "
        "Member must have value less than or equal to 3008"
    )
    bench.double.fail("lambda:CreateFunction", "ValidationException", message, times=1)
    with pytest.raises(AwsError, match=r"3,008 MB of memory at most, and 10,240 are asked for") as caught:
        bench.deploy(memory=10_240)
    assert "--memory 3008" in caught.value.hint


def test_the_functions_tags_are_the_users_too(bench):
    bench.deploy(tags=(("team", "ml"),))
    assert bench.deploy(tags=(("team", "ml"),)).action == "nothing"
    assert bench.deploy(tags=(("team", "ml"), ("cost", "1"))).action == "update"
    found = get_function(bench.aws, "builder")
    assert read_function_tags(bench.aws, found.arn) == {"team": "ml", "cost": "1", BUILDER_FUNCTION: "yes"}
