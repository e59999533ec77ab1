"""What becomes of one call, however it ends, and what the handler answers where nothing is built."""

import os
from importlib.metadata import version as installed_version

import pytest

from efsprov.builders.on_lambda.builder import Timeouts
from efsprov.builders.on_lambda.calls import call, inspect_root
from efsprov.builders.on_lambda.handler import handler
from efsprov.builders.on_lambda.run import RunLog, RunRecord, sweep
from efsprov.core.errors import AwsError, BuilderError, RootError, UsageError
from tests.devtools.lambda_sandbox.calls import ROLE, client, zipped
from tests.framework_root import plain_target

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


def test_a_function_that_is_no_builder_is_distinguished(bench, function):
    with pytest.raises(BuilderError, match="is not a builder function"):
        inspect_root(bench.aws, function("echo"), "/mnt/efs")


def test_an_error_of_the_handler_is_raised_as_its_class(bench, function):
    with pytest.raises(RootError, match=r"No root\."):
        call(bench.aws, function("refuse"), "inspect")


def test_a_read_that_takes_too_long_is_one_request(bench, function):
    outcome = call(bench.aws, function("dawdle"), "follow", seconds=0.5)
    assert outcome.kind == "unknown"
    assert bench.endpoint.count("Invoke") == 1


def test_a_function_that_is_not_there(bench):
    with pytest.raises(AwsError, match="Function not found"):
        call(bench.aws, "none", "inspect")


def test_a_build_that_is_killed_at_the_time_out_again_and_again_is_given_up(bench):
    bench.deploy(timeout=6)
    request = bench.request(bench.wheel("sleepy", delay=300))
    with pytest.raises(BuilderError, match="comes no further") as raised:
        bench.builder(timeouts=Timeouts(fruitless=2)).run(request, bench.events.append)
    assert "timed out after 6" in raised.value.message
    assert bench.builds() == 2


class TestHandler:
    def answer(self, **event):
        return handler({"efsprov": installed_version("efsprov"), **event}, None)

    def test_another_version_is_refused_with_what_to_do(self):
        response = handler({"efsprov": "0.0.1", "do": "inspect", "root": "/"}, None)
        assert response["status"] == "refused"
        assert "0.0.1" in response["error"]["message"]
        assert "builder deploy" in response["error"]["hint"]

    def test_what_is_on_the_root_is_seen(self, tmp_path):
        response = self.answer(do="inspect", root=str(tmp_path))
        assert response["channels"] == []
        assert response["disk_space"]["free_bytes"] > 0

    def test_a_run_that_nobody_asked_for(self, tmp_path):
        assert self.answer(do="follow", root=str(tmp_path), run="12345678") == {"status": "idle", "lines": []}
        assert self.answer(do="cancel", root=str(tmp_path), run="12345678")["status"] == "refused"
        assert list(tmp_path.iterdir()) == []

    def test_an_id_that_leads_elsewhere_is_refused(self, tmp_path):
        assert self.answer(do="follow", root=str(tmp_path), run="../../../etc")["status"] == "refused"

    @pytest.mark.parametrize("link", [".runs", ".runs/12345678"])
    @pytest.mark.parametrize("do", ["follow", "cancel"])
    def test_a_record_behind_a_link_is_refused(self, tmp_path, link, do):
        outside, root = tmp_path / "outside", tmp_path / "root"
        (outside / "12345678").mkdir(parents=True)
        (root / link).parent.mkdir(parents=True)
        (root / link).symlink_to(outside)
        response = self.answer(do=do, root=str(root), run="12345678")
        assert response["status"] == "refused"
        assert "follows no links" in response["error"]["message"]
        assert [path.name for path in outside.rglob("*")] == ["12345678"]

    def test_a_cancelled_run_that_nobody_works_on_has_ended(self, tmp_path):
        record = RunRecord.of(str(tmp_path), "12345678")
        with record.held():
            record.keep_request("{}")
        response = self.answer(do="cancel", root=str(tmp_path), run="12345678")
        assert response["status"] == "ended"
        assert response["lines"][-1]["error"]["code"] == "cancelled"

    def test_lines_after_a_number(self, tmp_path):
        record = RunRecord.of(str(tmp_path), "12345678")
        with record.held():
            log = RunLog(record)
            for number in range(3):
                log.add("event", {"step": "copy", "state": "note", "message": str(number)})
            log.close()
            response = self.answer(do="follow", root=str(tmp_path), run="12345678", after=2)
        assert response["status"] == "running"
        assert [line["number"] for line in response["lines"]] == [3]


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

    @pytest.mark.parametrize("link", [".runs", ".runs/12345678"])
    def test_sweeping_forgets_old_runs_and_nothing_behind_a_link(self, tmp_path, link):
        outside, root = tmp_path / "outside", tmp_path / "root"
        for folder in (outside / "12345678", root / ".runs" / "87654321", root / ".runs" / "not efsprov's"):
            folder.mkdir(parents=True)
            (folder / "lock").touch()
            os.utime(folder, (0, 0))
        if link == ".runs":
            (root / ".runs").rename(root / "kept")
        (root / link).symlink_to(outside if link == ".runs" else outside / "12345678")
        sweep(str(root))
        assert (outside / "12345678" / "lock").exists()
        if link != ".runs":
            assert sorted(p.name for p in (root / ".runs").iterdir()) == ["12345678", "not efsprov's"]
