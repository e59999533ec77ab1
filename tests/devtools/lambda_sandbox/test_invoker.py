import base64
import json
import threading

import botocore.config
import botocore.exceptions
import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, CODE, ON_EFS, ROLE, client, code_of, wait_for_files


class TestInvoke:
    def test_answers_from_the_function(self, aws, create):
        create()
        answer = aws.invoke(FunctionName="function", Payload=b'{"a": 1}')
        assert answer["StatusCode"] == 200
        assert answer["ExecutedVersion"] == "$LATEST"
        assert "FunctionError" not in answer
        assert "LogResult" not in answer
        assert json.load(answer["Payload"])["event"] == {"a": 1}

    def test_no_payload_is_an_empty_object(self, aws, create):
        create()
        assert json.load(aws.invoke(FunctionName="function")["Payload"])["event"] == {}

    @pytest.mark.parametrize(
        "name",
        [
            "function",
            "123456789012:function:function",
            "arn:aws:lambda:us-east-1:123456789012:function:function",
            "arn:aws:lambda:us-east-1:123456789012:function:function:$LATEST",
        ],
    )
    def test_every_form_of_the_name(self, aws, create, name):
        create()
        assert aws.invoke(FunctionName=name)["StatusCode"] == 200

    def test_error_of_the_function_and_the_end_of_its_log(self, aws, create):
        create("ordinary.fail")
        answer = aws.invoke(FunctionName="function", Payload=b'"spoon"', LogType="Tail")
        assert answer["StatusCode"] == 200
        assert answer["FunctionError"] == "Unhandled"
        assert json.load(answer["Payload"])["errorMessage"] == "no such thing: spoon"
        log = base64.b64decode(answer["LogResult"]).decode()
        assert "[ERROR] ValueError: no such thing: spoon" in log
        assert log.splitlines()[-1].startswith("REPORT RequestId: ")

    def test_log_tail_is_limited(self, aws, create):
        create("ordinary.echo")
        answer = aws.invoke(FunctionName="function", Payload=json.dumps("x" * 9000), LogType="Tail")
        assert len(base64.b64decode(answer["LogResult"])) == 4096

    def test_time_out_is_the_configured_one(self, aws, create):
        create("ordinary.linger", Timeout=1)
        answer = aws.invoke(FunctionName="function")
        assert answer["FunctionError"] == "Unhandled"
        assert json.load(answer["Payload"])["errorType"] == "Sandbox.Timedout"

    def test_environment_is_used_again(self, aws, create):
        create("ordinary.count")
        assert [json.load(aws.invoke(FunctionName="function")["Payload"]) for _ in range(3)] == [1, 2, 3]

    def test_context_reaches_the_function(self, aws, create):
        create("ordinary.describe")
        context = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()
        answer = aws.invoke(FunctionName="function", ClientContext=context)
        assert json.load(answer["Payload"])["custom"] == {"a": "b"}

    def test_dry_run_runs_nothing(self, aws, create, endpoint):
        create()
        assert aws.invoke(FunctionName="function", InvocationType="DryRun")["StatusCode"] == 204
        assert endpoint.invocations == []

    @pytest.mark.parametrize(
        ("name", "payload", "code"),
        [
            ("nobody", b"{}", "ResourceNotFoundException"),
            ("function:7", b"{}", "ResourceNotFoundException"),
            ("function", b"{", "InvalidRequestContentException"),
            ("function", b'"' + b"x" * 6_291_456 + b'"', "RequestTooLargeException"),
        ],
    )
    def test_what_cannot_be_invoked(self, aws, create, name, payload, code):
        create()
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            aws.invoke(FunctionName=name, Payload=payload)
        assert code_of(raised) == code

    def test_runtime_or_architecture_that_this_machine_has_not(self, aws, create):
        create(Runtime="python3.9")
        create(name="other", Architectures=["arm64"])
        for name in ("function", "other"):
            with pytest.raises(botocore.exceptions.ClientError, match="cannot run on this machine"):
                aws.invoke(FunctionName=name)


class TestAsynchronous:
    def test_event_is_accepted_and_handled_later(self, aws, create, endpoint):
        create("ordinary.count")
        assert aws.invoke(FunctionName="function", InvocationType="Event")["StatusCode"] == 202
        endpoint.invoker.wait_for_events()
        assert [invocation.payload for invocation in endpoint.invocations] == [1]

    def test_failing_event_is_tried_three_times_under_one_id(self, aws, create, endpoint):
        create("ordinary.fail")
        aws.invoke(FunctionName="function", InvocationType="Event")
        endpoint.invoker.wait_for_events()
        assert len(endpoint.invocations) == 3
        assert len({invocation.request_id for invocation in endpoint.invocations}) == 1
        assert endpoint.count("Invoke") == 1


class TestConcurrencyAndRetries:
    def test_events_at_the_same_time_get_environments_of_their_own(self, aws, create, endpoint, mounts, tmp_path):
        mounts["fsap-0123456789abcdef0"] = tmp_path
        create("ordinary.meet", **ON_EFS)
        event = json.dumps({"place": "/mnt/efs", "together": 3})
        for _ in range(3):
            aws.invoke(FunctionName="function", InvocationType="Event", Payload=event)
        endpoint.invoker.wait_for_events()
        assert len({invocation.payload for invocation in endpoint.invocations}) == 3

    def test_no_more_than_the_limit(self, lambda_runtime, tmp_path):
        with LambdaEndpoint(
            {lambda_runtime.name: lambda_runtime}, mounts={ACCESS_POINT: tmp_path}, concurrency=1
        ) as endpoint:
            aws = client(endpoint, retries={"total_max_attempts": 1})
            settings = {"Runtime": lambda_runtime.name, "Role": ROLE, "Timeout": 60} | ON_EFS
            aws.create_function(FunctionName="f", Handler="ordinary.meet", Code={"ZipFile": CODE}, **settings)
            aws.get_function(FunctionName="f")
            aws.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"place": "/mnt/efs", "together": 2}')
            wait_for_files(tmp_path)
            with pytest.raises(aws.exceptions.TooManyRequestsException):
                aws.invoke(FunctionName="f")
            (tmp_path / "release").touch()
            endpoint.invoker.wait_for_events()

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_client_that_loses_patience_sends_again(self, endpoint, create, mounts, tmp_path, attempts):
        """Each of its requests is a run of the function: what a client of a slow function has to know."""
        mounts[ACCESS_POINT] = tmp_path
        create("ordinary.meet", **ON_EFS)
        impatient = client(endpoint, read_timeout=1, retries={"total_max_attempts": attempts, "mode": "standard"})
        with pytest.raises(botocore.exceptions.ReadTimeoutError):
            impatient.invoke(FunctionName="function", Payload=b'{"place": "/mnt/efs", "together": 99}')
        assert endpoint.count("Invoke") == attempts
        wait_for_files(tmp_path, attempts)

    def test_functions_can_be_killed_while_they_work(self, aws, create, endpoint, mounts, tmp_path):
        mounts[ACCESS_POINT] = tmp_path
        create("ordinary.meet", **ON_EFS)
        aws.invoke(FunctionName="function", InvocationType="Event", Payload=b'{"place": "/mnt/efs", "together": 2}')
        wait_for_files(tmp_path)
        endpoint.invoker.kill("function")
        (tmp_path / "second").touch()
        endpoint.invoker.wait_for_events()
        killed, again = endpoint.invocations
        assert killed.error.message.endswith("signal: killed")
        assert again.error is None

    def test_closing_ends_what_runs(self, lambda_runtime, tmp_path):
        endpoint = LambdaEndpoint({lambda_runtime.name: lambda_runtime}, mounts={ACCESS_POINT: tmp_path})
        aws = client(endpoint, retries={"total_max_attempts": 1})
        settings = {"Runtime": lambda_runtime.name, "Role": ROLE, "Timeout": 900} | ON_EFS
        aws.create_function(FunctionName="f", Handler="ordinary.hold", Code={"ZipFile": CODE}, **settings)
        aws.get_function(FunctionName="f")
        answers: list[str] = []

        def invoke() -> None:
            try:
                aws.invoke(FunctionName="f", Payload=b'"/mnt/efs/lock"')
            except botocore.exceptions.ClientError as error:
                answers.append(error.response["Error"]["Code"])
            except botocore.exceptions.ConnectionError as error:
                answers.append(type(error).__name__)

        waiting = threading.Thread(target=invoke)
        waiting.start()
        wait_for_files(tmp_path)
        endpoint.close()
        waiting.join()
        assert answers
