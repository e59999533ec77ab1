"""What becomes of one call, however it ends, and what the handler answers where nothing is built."""

from importlib.metadata import version as installed_version

import pytest

from efsprov.builders.lambda_builder import Patience
from efsprov.builders.lambda_calls import call, look
from efsprov.builders.lambda_handler import handler
from efsprov.builders.lambda_run import RunLog, RunRecord
from efsprov.core.errors import AwsError, BuilderError, RootError, UsageError
from tests.framework_root import plain_target
from tests.lambda_runtime.calls import ROLE, client, zipped

FUNCTION = b"""
import os, time

def echo(event, context):
    return "what is this?"

def refuse(event, context):
    return {"status": "refused", "error": {"code": "root", "message": "No root.", "hint": "Mount it."}}

def die(event, context):
    os._exit(1)

def eat(event, context):
    print("REPORT RequestId: 1 Memory Size: 128 MB\\tMax Memory Used: 128 MB")
    os._exit(1)

def dawdle(event, context):
    time.sleep(60)
"""


@pytest.fixture
def function(bench):
    def make(name):
        settings = {"Runtime": plain_target().split("-")[0], "Role": ROLE, "Timeout": 2}
        aws = client(bench.endpoint)
        aws.create_function(FunctionName=name, Handler=f"f.{name}", Code={"ZipFile": zipped(f=FUNCTION)}, **settings)
        aws.get_function_configuration(FunctionName=name)
        return name

    return make


@pytest.mark.parametrize(("name", "kind"), [("die", "died"), ("eat", "memory"), ("dawdle", "timeout")])
def test_an_invocation_that_ends_without_an_answer(bench, function, name, kind):
    outcome = call(bench.aws, function(name), "follow")
    assert outcome.kind == kind
    assert outcome.why
    assert bench.endpoint.count("Invoke") == 1


def test_a_function_that_is_no_builder_is_told_apart(bench, function):
    with pytest.raises(BuilderError, match="no builder function"):
        look(bench.aws, function("echo"), "/mnt/efs")


def test_an_error_of_the_handler_is_raised_as_its_class(bench, function):
    with pytest.raises(RootError, match=r"No root\."):
        call(bench.aws, function("refuse"), "look")


def test_a_read_that_takes_too_long_is_one_request(bench, function):
    outcome = call(bench.aws, function("dawdle"), "follow", seconds=0.5)
    assert outcome.kind == "unknown"
    assert bench.endpoint.count("Invoke") == 1


def test_a_function_that_is_not_there(bench):
    with pytest.raises(AwsError, match="Function not found"):
        call(bench.aws, "none", "look")


def test_a_build_that_is_killed_at_the_time_out_again_and_again_is_given_up(bench):
    bench.deploy(timeout=6)
    request = bench.request(bench.wheel("sleepy", delay=300))
    with pytest.raises(BuilderError, match="comes no further") as raised:
        bench.builder(patience=Patience(fruitless=2)).run(request, bench.events.append)
    assert "timed out after 6" in raised.value.message
    assert bench.builds() == 2


class TestHandler:
    def answer(self, **event):
        return handler({"efsprov": installed_version("efsprov"), **event}, None)

    def test_another_version_is_refused_with_what_to_do(self):
        told = handler({"efsprov": "0.0.1", "do": "look", "root": "/"}, None)
        assert told["status"] == "refused"
        assert "0.0.1" in told["error"]["message"]
        assert "builder deploy" in told["error"]["hint"]

    def test_what_is_on_the_root_is_seen(self, tmp_path):
        told = self.answer(do="look", root=str(tmp_path))
        assert told["channels"] == []
        assert told["room"]["free_bytes"] > 0

    def test_a_run_that_nobody_asked_for(self, tmp_path):
        assert self.answer(do="follow", root=str(tmp_path), run="12345678") == {"status": "idle", "lines": []}
        assert self.answer(do="cancel", root=str(tmp_path), run="12345678")["status"] == "refused"
        assert list(tmp_path.iterdir()) == []

    def test_an_id_that_leads_elsewhere_is_refused(self, tmp_path):
        assert self.answer(do="follow", root=str(tmp_path), run="../../../etc")["status"] == "refused"

    def test_a_cancelled_run_that_nobody_works_on_has_ended(self, tmp_path):
        record = RunRecord.of(str(tmp_path), "12345678")
        with record.held():
            record.keep_request("{}")
        told = self.answer(do="cancel", root=str(tmp_path), run="12345678")
        assert told["status"] == "ended"
        assert told["lines"][-1]["error"]["code"] == "cancelled"

    def test_lines_after_a_number(self, tmp_path):
        record = RunRecord.of(str(tmp_path), "12345678")
        with record.held():
            log = RunLog(record)
            for number in range(3):
                log.add("event", {"step": "copy", "state": "note", "message": str(number)})
            log.close()
            told = self.answer(do="follow", root=str(tmp_path), run="12345678", after=2)
        assert told["status"] == "running"
        assert [line["number"] for line in told["lines"]] == [3]


class TestRecord:
    @pytest.fixture
    def record(self, tmp_path):
        return RunRecord.of(str(tmp_path), "12345678")

    def test_only_one_holds_a_run(self, record):
        with record.held():
            assert record.at_work
            with pytest.raises(BlockingIOError), record.held():
                pass
        assert not record.at_work
        with record.held():
            pass

    def test_what_a_kill_left_half_written_is_cut_off(self, record):
        with record.held():
            log = RunLog(record)
            log.add("event", {"step": "copy", "state": "started"})
            log.close()
            with (record.path / "log").open("ab") as file:
                file.write(b'{"number": 2, "eve')
            assert [line.number for line in record.lines()] == [1]
            log = RunLog(record)
            log.add("event", {"step": "copy", "state": "finished"})
            log.close()
        assert [(line.number, line.body["state"]) for line in record.lines()] == [(1, "started"), (2, "finished")]

    @pytest.mark.parametrize("run", ["", "short", "a/../../b", "x" * 65, "with space"])
    def test_what_is_no_id(self, tmp_path, run):
        with pytest.raises(UsageError):
            RunRecord.of(str(tmp_path), run)
