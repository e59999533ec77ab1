import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.lambda_sandbox import Bind, Function, LambdaEnvironment, Runtime

SAMPLES = Path(__file__).with_name("samples")
Deploy = Callable[..., LambdaEnvironment]


@pytest.fixture
def deploy(lambda_runtime: Runtime) -> Iterator[Deploy]:
    """Makes environments of the sample functions, which the test's end closes."""
    with contextlib.ExitStack() as stack:

        def make(handler: str, **settings: Any) -> LambdaEnvironment:
            settings = {"code": SAMPLES, "timeout": 30} | settings
            return stack.enter_context(LambdaEnvironment(Function(runtime=lambda_runtime, handler=handler, **settings)))

        yield make


def wait_until(condition: Callable[[], object]) -> None:
    """Generously: what is waited for comes at once, or there is a defect."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class TestAnswers:
    def test_event_in_json_out(self, deploy):
        answer = deploy("ordinary.echo").invoke({"größe": [1, 2.5, None]}, request_id="r-1")
        assert answer.error is None
        assert answer.payload["event"] == {"größe": [1, 2.5, None]}
        assert answer.payload["request_id"] == answer.request_id == "r-1"
        assert 0 < answer.payload["remaining_ms"] <= 30_000

    def test_log_is_what_was_printed_between_lambdas_own_lines(self, deploy):
        environment = deploy("ordinary.echo")
        first, second = environment.invoke(1, request_id="r-1"), environment.invoke("ä", request_id="r-2")
        lines = first.logs.splitlines()
        assert lines[:4] == [
            "module loaded",
            "START RequestId: r-1 Version: $LATEST",
            "handling 1",
            "END RequestId: r-1",
        ]
        assert lines[4].startswith("REPORT RequestId: r-1\tDuration: ")
        assert "Init Duration: " in lines[4]
        assert second.logs.splitlines()[:2] == ["START RequestId: r-2 Version: $LATEST", "handling ä"]
        assert "Init Duration: " not in second.logs

    def test_exception_is_reported_and_the_environment_goes_on(self, deploy):
        environment = deploy("ordinary.fail")
        answer = environment.invoke("spoon")
        assert answer.payload == {
            "errorMessage": "no such thing: spoon",
            "errorType": "ValueError",
            "requestId": answer.request_id,
            "stackTrace": list(answer.error.stack_trace),
        }
        assert 'File "/var/task/ordinary.py", line' in answer.error.stack_trace[-1]
        assert "[ERROR] ValueError: no such thing: spoon" in answer.logs
        assert environment.invoke("fork").init_duration is None

    def test_answer_beyond_lambdas_limit(self, deploy):
        environment = deploy("ordinary.big")
        assert environment.invoke(6_291_556 - 2).error is None  # two quotation marks make it the limit
        answer = environment.invoke(6_291_556 - 1)
        assert answer.error.type == "Function.ResponseSizeTooLarge"
        assert environment.invoke(1).payload == "x"

    def test_context_has_what_the_caller_sent(self, deploy):
        answer = deploy("ordinary.describe", name="named").invoke(client_context=json.dumps({"custom": {"a": "b"}}))
        assert answer.payload["custom"] == {"a": "b"}
        assert answer.payload["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:named"


class TestInitPhase:
    @pytest.mark.parametrize(
        ("handler", "error_type", "message"),
        [
            ("broken_import.handle", "Runtime.ImportModuleError", "Unable to import module 'broken_import': No module"),
            ("nowhere.handle", "Runtime.ImportModuleError", "Unable to import module 'nowhere': No module named"),
            ("ordinary.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'ordinary'"),
            ("broken_value.handle", "ValueError", "the table is not there"),
        ],
    )
    def test_failure_is_the_first_events_answer(self, deploy, handler, error_type, message):
        answer = deploy(handler).invoke()
        assert answer.error.type == error_type
        assert answer.error.message.startswith(message)

    def test_is_tried_again_within_the_first_event(self, deploy):
        environment = deploy("broken_import.handle")
        assert environment.invoke().logs.count("module loaded") == 2
        assert environment.invoke().logs.count("module loaded") == 1

    def test_that_takes_too_long_starts_again_on_the_functions_time(self, deploy):
        answer = deploy("slow_start.handle", init_timeout=1).invoke()
        assert answer.payload == "up at last"

    def test_can_come_before_the_first_event(self, deploy):
        environment = deploy("ordinary.echo")
        environment.init()
        assert environment.invoke().init_duration is None


class TestReuseAndReset:
    def test_module_state_lives_on(self, deploy):
        environment = deploy("ordinary.count")
        assert [environment.invoke().payload for _ in range(3)] == [1, 2, 3]

    def test_time_out_kills_every_process_and_keeps_tmp(self, deploy, tmp_path):
        (tmp_path / "function.py").write_text(
            "import ordinary\ndef handle(event, context):\n    return getattr(ordinary, event)(event, context)\n"
        )
        (tmp_path / "ordinary.py").write_text((SAMPLES / "ordinary.py").read_text())
        environment = deploy("function.handle", code=tmp_path)
        answer = environment.invoke("linger", timeout=0.5)
        assert answer.error.type == "Sandbox.Timedout"
        assert answer.error.message == f"RequestId: {answer.request_id} Error: Task timed out after 0.50 seconds"
        assert "Status: timeout" in answer.logs
        left = environment.invoke("survey")
        assert left.logs.count("module loaded") == 1  # a new process
        assert left.payload == {"processes": 2, "tmp": ["left"]}  # PID 1 and the runtime

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            (0, "Runtime exited without providing a reason"),
            (3, "Runtime exited with error: exit status 3"),
            (-signal.SIGKILL, "Runtime exited with error: signal: killed"),
            ("crash", "Runtime exited with error: signal: segmentation fault"),
        ],
    )
    def test_process_that_ends(self, deploy, how, reason):
        answer = deploy("ordinary.leave").invoke(how)
        assert answer.error.type == "Runtime.ExitError"
        assert answer.error.message == f"RequestId: {answer.request_id} Error: {reason}"

    def test_between_events_nothing_runs(self, deploy, tmp_path):
        environment = deploy("ordinary.tick", mounts={"/mnt/efs": tmp_path})
        environment.invoke("/mnt/efs/ticks")
        frozen = (tmp_path / "ticks").read_text() if (tmp_path / "ticks").exists() else ""
        time.sleep(0.05)  # some fifty ticks, were it alive
        assert ((tmp_path / "ticks").read_text() if frozen else "") == frozen

    def test_unless_it_is_not_to_be_frozen(self, deploy, tmp_path):
        environment = deploy("ordinary.tick", mounts={"/mnt/efs": tmp_path}, freeze=False)
        environment.invoke("/mnt/efs/ticks")
        wait_until(lambda: (tmp_path / "ticks").exists() and len((tmp_path / "ticks").read_text()) > 10)

    def test_several_environments_work_at_once(self, deploy, tmp_path):
        environments = [deploy("ordinary.meet", mounts={"/mnt/efs": tmp_path}) for _ in range(3)]
        streams: list[str] = []
        event = {"place": "/mnt/efs", "together": 3}
        threads = [threading.Thread(target=lambda e=e: streams.append(e.invoke(event).payload)) for e in environments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(streams) == sorted(e.log_stream for e in environments)

    def test_one_environment_takes_one_event(self, deploy, tmp_path):
        environment = deploy("ordinary.meet", mounts={"/mnt/efs": tmp_path})
        waiting = threading.Thread(target=environment.invoke, args=({"place": "/mnt/efs", "together": 2},))
        waiting.start()
        wait_until(lambda: any(tmp_path.iterdir()))
        with pytest.raises(RuntimeError, match="one event at a time"):
            environment.invoke()
        (tmp_path / "second").touch()
        waiting.join()

    def test_can_be_killed_at_any_moment(self, deploy, tmp_path):
        environment = deploy("ordinary.meet", mounts={"/mnt/efs": tmp_path})
        answers: list[Any] = []
        event = {"place": "/mnt/efs", "together": 2}
        waiting = threading.Thread(target=lambda: answers.append(environment.invoke(event)))
        waiting.start()
        wait_until(lambda: any(tmp_path.iterdir()))
        environment.kill()
        waiting.join()
        assert answers[0].error.message.endswith("Runtime exited with error: signal: killed")
        assert environment.invoke(event).error is None  # the file of the killed one is the second

    def test_closing_ends_what_runs(self, deploy, tmp_path):
        environment = deploy("ordinary.meet", mounts={"/mnt/efs": tmp_path})
        raised: list[BaseException] = []

        def invoke() -> None:
            try:
                environment.invoke({"place": "/mnt/efs", "together": 2})
            except BrokenPipeError as error:
                raised.append(error)

        waiting = threading.Thread(target=invoke)
        waiting.start()
        wait_until(lambda: any(tmp_path.iterdir()))
        environment.close()
        waiting.join()
        assert len(raised) == 1


class TestSurroundings:
    def test_variables_folders_and_limits_are_lambdas(self, deploy):
        variables = {"EFSPROV_ROOT": "/mnt/efs"}
        environment = deploy("ordinary.describe", name="named", memory_mb=1769, variables=variables)
        seen = environment.invoke().payload
        assert seen["cwd"] == "/var/task"
        assert seen["path"][:4] == [
            "/var/task",
            "/opt/python/lib/python3.11/site-packages",
            "/opt/python",
            "/var/runtime",
        ]
        assert {"tmp", "var", "opt", "proc"} <= set(seen["root"])
        assert not {"home", "root", "srv", "sys"} & set(seen["root"])
        assert seen["files"] == 1024
        environ = seen["environ"]
        assert environ["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
        assert environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "1769"
        assert environ["AWS_LAMBDA_FUNCTION_NAME"] == "named"
        assert environ["EFSPROV_ROOT"] == "/mnt/efs"
        assert environ["_X_AMZN_TRACE_ID"].startswith("Root=1-")
        assert not {"HOME", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "PWD"} & environ.keys()

    def test_reserved_variables_cannot_be_set(self, deploy):
        environment = deploy("ordinary.describe", variables={"LAMBDA_TASK_ROOT": "/elsewhere", "TZ": "Europe/Berlin"})
        environ = environment.invoke().payload["environ"]
        assert environ["LAMBDA_TASK_ROOT"] == "/var/task"
        assert environ["TZ"] == "Europe/Berlin"

    @pytest.mark.parametrize("module", ["pydantic", "pytest", "efsprov.core.errors", "pip"])
    def test_the_projects_packages_are_out_of_reach(self, deploy, module):
        assert deploy("ordinary.load").invoke(module).payload.startswith("No module named")

    def test_only_tmp_is_writable_and_has_a_size(self, deploy):
        environment = deploy("ordinary.write", tmp_mb=1)
        paths = ["/var/task/x", "/opt/x", "/var/runtime/x", "/var/lang/x", "/usr/x", "/x"]
        assert [environment.invoke({"path": path, "size": 1}).payload for path in paths] == ["EROFS"] * len(paths)
        assert environment.invoke({"path": "/tmp/x", "size": 1 << 20}).payload == "written"
        assert environment.invoke({"path": "/tmp/y", "size": 1}).payload == "ENOSPC"

    def test_memory_is_limited_when_asked(self, deploy):
        environment = deploy("ordinary.allocate", memory_mb=512, limit_memory=True)
        assert environment.invoke(600 << 20).payload == "MemoryError"
        assert environment.invoke(100 << 20).payload == 100 << 20
        assert environment.invoke(100 << 20).peak_memory > 100 << 20

    def test_layers_lie_over_each_other(self, deploy, tmp_path):
        for layer, modules in {"low": {"a": "low", "b": "low"}, "high": {"b": "high"}}.items():
            (tmp_path / layer / "python").mkdir(parents=True)
            for name, who in modules.items():
                (tmp_path / layer / "python" / f"{name}.py").write_text(f"WHO = {who!r}\n")
        environment = deploy("ordinary.load", layers=[tmp_path / "low", tmp_path / "high"])
        assert [environment.invoke(name).payload for name in "ab"] == ["low", "high"]

    def test_file_system_is_where_it_is_mounted(self, deploy, tmp_path):
        environment = deploy("ordinary.write", mounts={"/mnt/efs": tmp_path})
        assert environment.invoke({"path": "/mnt/efs/x", "size": 3}).payload == "written"
        assert (tmp_path / "x").read_bytes() == bytes(3)

    def test_more_can_be_mounted_beside_the_layers(self, deploy, tmp_path):
        (tmp_path / "layer/python").mkdir(parents=True)
        (tmp_path / "layer/python/a.py").write_text("WHO = 'layer'\n")
        (tmp_path / "more").mkdir()
        settings = {"layers": [tmp_path / "layer"], "mounts": {"/opt/more": tmp_path / "more"}}
        assert deploy("ordinary.load", **settings).invoke("a").payload == "layer"
        written = deploy("ordinary.write", **settings).invoke({"path": "/opt/more/x", "size": 1})
        assert written.payload == "written"

    def test_file_system_can_be_read_only(self, deploy, tmp_path):
        environment = deploy("ordinary.write", mounts={"/mnt/efs": Bind(tmp_path, "/mnt/efs")})
        assert environment.invoke({"path": "/mnt/efs/x", "size": 3}).payload == "EROFS"


HARNESS = """
import sys
from pathlib import Path
from devtools.lambda_sandbox import Function, LambdaEnvironment, Runtime
samples, cache, mounted = map(Path, sys.argv[1:])
runtime = Runtime.prepare(Path(sys.executable), cache=cache)
function = Function(runtime=runtime, code=samples, handler="ordinary.hold", mounts={"/mnt/efs": mounted}, timeout=900)
LambdaEnvironment(function).invoke("/mnt/efs/lock")
"""


def test_environment_dies_with_the_process_that_made_it(lambda_runtime, tmp_path):
    project = Path(__file__).parents[3]
    command = [sys.executable, "-c", HARNESS, SAMPLES, lambda_runtime.client.parent, tmp_path]
    lock = tmp_path / "lock"
    with subprocess.Popen(command, cwd=project, env=os.environ | {"TMPDIR": str(tmp_path)}) as harness:
        wait_until(lambda: lock.exists() and lock.read_text() == "held")
        with lock.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        harness.kill()

    def released() -> bool:
        with lock.open() as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    wait_until(released)
