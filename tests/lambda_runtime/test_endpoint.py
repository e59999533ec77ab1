import base64
import io
import json
import stat
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from tests.lambda_runtime import Bind, Runtime
from tests.lambda_runtime.endpoint import LambdaEndpoint

SAMPLES = Path(__file__).with_name("samples")
ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
ON_EFS: dict[str, Any] = {
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    "FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs"}],
}


def zipped(**files: str | bytes) -> bytes:
    """An archive; ``__`` in a name stands for a slash and every name gets ``.py``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/") + ".py", content)
    return buffer.getvalue()


CODE = zipped(ordinary=(SAMPLES / "ordinary.py").read_bytes())


def client(endpoint: LambdaEndpoint, **config: Any):
    return boto3.client(
        "lambda",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=botocore.config.Config(**config),
    )


@pytest.fixture
def mounts() -> dict[str, Path | Bind]:
    return {}


@pytest.fixture
def endpoint(lambda_runtime: Runtime, mounts) -> Iterator[LambdaEndpoint]:
    with LambdaEndpoint({lambda_runtime.name: lambda_runtime}, mounts=mounts) as endpoint:
        yield endpoint


@pytest.fixture
def aws(endpoint):
    return client(endpoint)


@pytest.fixture
def create(aws, lambda_runtime):
    """Creates a function and waits until it is active, as a client has to; returns its configuration."""

    def make(handler: str = "ordinary.echo", name: str = "function", code: bytes = CODE, **settings: Any):
        settings = {
            "Runtime": lambda_runtime.name,
            "Timeout": 30,
            "Role": "arn:aws:iam::123456789012:role/r",
        } | settings
        aws.create_function(FunctionName=name, Handler=handler, Code={"ZipFile": code}, **settings)
        return aws.get_function_configuration(FunctionName=name)

    return make


def code_of(raised: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


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
            settings = {"Runtime": lambda_runtime.name, "Role": "r", "Timeout": 60} | ON_EFS
            settings["Role"] = "arn:aws:iam::123456789012:role/r"
            aws.create_function(FunctionName="f", Handler="ordinary.meet", Code={"ZipFile": CODE}, **settings)
            aws.get_function(FunctionName="f")
            aws.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"place": "/mnt/efs", "together": 2}')
            wait_until_any(tmp_path)
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
        wait_until_any(tmp_path, attempts)

    def test_functions_can_be_killed_while_they_work(self, aws, create, endpoint, mounts, tmp_path):
        mounts[ACCESS_POINT] = tmp_path
        create("ordinary.meet", **ON_EFS)
        aws.invoke(FunctionName="function", InvocationType="Event", Payload=b'{"place": "/mnt/efs", "together": 2}')
        wait_until_any(tmp_path)
        endpoint.invoker.kill("function")
        (tmp_path / "second").touch()
        endpoint.invoker.wait_for_events()
        killed, again = endpoint.invocations
        assert killed.error.message.endswith("signal: killed")
        assert again.error is None

    def test_closing_ends_what_runs(self, lambda_runtime, tmp_path):
        endpoint = LambdaEndpoint({lambda_runtime.name: lambda_runtime}, mounts={ACCESS_POINT: tmp_path})
        aws = client(endpoint, retries={"total_max_attempts": 1})
        settings = {"Runtime": lambda_runtime.name, "Role": "arn:aws:iam::123456789012:role/r", "Timeout": 900} | ON_EFS
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
        wait_until_any(tmp_path)
        endpoint.close()
        waiting.join()
        assert answers


def wait_until_any(folder: Path, files: int = 1) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < files:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestConfiguration:
    def test_answers_what_was_set(self, aws, create):
        settings = ON_EFS | {
            "Description": "what it does",
            "MemorySize": 1769,
            "EphemeralStorage": {"Size": 1024},
            "Environment": {"Variables": {"A_B": "c"}},
            "Tags": {"owner": "us"},
        }
        create(**settings)
        found = aws.get_function(FunctionName="function")
        configuration = found["Configuration"]
        for name in ("Description", "MemorySize", "EphemeralStorage", "Environment", "FileSystemConfigs"):
            assert configuration[name] == settings[name]
        assert configuration["VpcConfig"].items() >= ON_EFS["VpcConfig"].items()
        assert configuration["VpcConfig"]["VpcId"].startswith("vpc-")
        assert configuration["State"] == "Active"
        assert found["Tags"] == {"owner": "us"}
        with urllib.request.urlopen(found["Code"]["Location"]) as archive:
            assert archive.read() == CODE

    def test_update_changes_what_it_names_and_keeps_the_rest(self, aws, create):
        before = create(**ON_EFS, Environment={"Variables": {"A_B": "c"}})
        aws.update_function_configuration(FunctionName="function", MemorySize=512)
        after = aws.get_function_configuration(FunctionName="function")
        changed = {name for name in after if after[name] != before[name]} - {"ResponseMetadata"}
        assert changed == {"MemorySize", "RevisionId", "LastModified"}

    def test_empty_values_take_away(self, aws, create):
        create(**ON_EFS, Environment={"Variables": {"A_B": "c"}})
        aws.update_function_configuration(
            FunctionName="function", FileSystemConfigs=[], Environment={"Variables": {}}, Layers=[]
        )
        after = aws.get_function_configuration(FunctionName="function")
        assert not {"FileSystemConfigs", "Environment", "Layers"} & after.keys()

    def test_revision_guards_and_changes_twice(self, aws, create):
        first = create()["RevisionId"]
        during = aws.update_function_configuration(FunctionName="function", MemorySize=256, RevisionId=first)[
            "RevisionId"
        ]
        after = aws.get_function_configuration(FunctionName="function")["RevisionId"]
        assert len({first, during, after}) == 3
        for stale in (first, during):
            with pytest.raises(aws.exceptions.PreconditionFailedException):
                aws.update_function_configuration(FunctionName="function", MemorySize=512, RevisionId=stale)
            with pytest.raises(aws.exceptions.PreconditionFailedException):
                aws.update_function_code(FunctionName="function", ZipFile=CODE, RevisionId=stale)
        assert aws.get_function_configuration(FunctionName="function")["MemorySize"] == 256

    def test_change_takes_time(self, lambda_runtime):
        with LambdaEndpoint({lambda_runtime.name: lambda_runtime}, reads_until_settled=2) as endpoint:
            aws = client(endpoint, retries={"total_max_attempts": 1})
            settings = {"Runtime": lambda_runtime.name, "Role": "arn:aws:iam::123456789012:role/r", "Timeout": 30}
            created = aws.create_function(FunctionName="f", Handler="ordinary.echo", Code={"ZipFile": CODE}, **settings)
            assert created["State"] == "Pending"
            with pytest.raises(aws.exceptions.ResourceConflictException):
                aws.invoke(FunctionName="f")
            aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0})
            updated = aws.update_function_configuration(FunctionName="f", Handler="ordinary.count")
            assert updated["LastUpdateStatus"] == "InProgress"
            with pytest.raises(aws.exceptions.ResourceConflictException):
                aws.update_function_configuration(FunctionName="f", MemorySize=256)
            assert json.load(aws.invoke(FunctionName="f")["Payload"])["event"] == {}  # still by the old handler
            aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0})
            assert json.load(aws.invoke(FunctionName="f")["Payload"]) == 1
            assert endpoint.count("GetFunction") == 6

    def test_update_can_come_to_nothing(self, aws, create, endpoint):
        create()
        endpoint.functions.fail_next_update("SubnetOutOfIPAddresses", "no address is left in subnet-1")
        aws.update_function_configuration(FunctionName="function", MemorySize=256)
        with pytest.raises(botocore.exceptions.WaiterError):
            aws.get_waiter("function_updated_v2").wait(FunctionName="function", WaiterConfig={"Delay": 0})
        found = aws.get_function_configuration(FunctionName="function")
        assert (found["LastUpdateStatus"], found["LastUpdateStatusReasonCode"]) == ("Failed", "SubnetOutOfIPAddresses")
        aws.update_function_configuration(FunctionName="function", MemorySize=512)
        found = aws.get_function_configuration(FunctionName="function")
        assert (found["LastUpdateStatus"], found["MemorySize"]) == ("Successful", 512)

    def test_new_code_runs_in_new_environments(self, aws, create):
        create("h.f", code=zipped(h="def f(event, context): return 'old'"))
        before = aws.get_function_configuration(FunctionName="function")
        assert json.load(aws.invoke(FunctionName="function")["Payload"]) == "old"
        new = zipped(h="def f(event, context): return 'new'")
        aws.update_function_code(FunctionName="function", ZipFile=new, DryRun=True)
        assert aws.get_function_configuration(FunctionName="function")["CodeSha256"] == before["CodeSha256"]
        aws.update_function_code(FunctionName="function", ZipFile=new)
        assert aws.get_function_configuration(FunctionName="function")["CodeSha256"] != before["CodeSha256"]
        assert json.load(aws.invoke(FunctionName="function")["Payload"]) == "new"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"FileSystemConfigs": ON_EFS["FileSystemConfigs"]}, "VPC"),
            (ON_EFS | {"FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/srv/efs"}]}, "LocalMountPath"),
            (ON_EFS | {"FileSystemConfigs": [{"Arn": "fsap-1", "LocalMountPath": "/mnt/efs"}]}, "access point"),
            (ON_EFS | {"FileSystemConfigs": ON_EFS["FileSystemConfigs"] * 2}, "length less than or equal to 1"),
            ({"Timeout": 901}, "Timeout"),
            ({"MemorySize": 10_241}, "MemorySize"),
            ({"EphemeralStorage": {"Size": 10_241}}, "EphemeralStorage"),
            ({"Environment": {"Variables": {"LAMBDA_TASK_ROOT": "/x"}}}, "reserved keys"),
            ({"Environment": {"Variables": {"1A": "x"}}}, "1A"),
            ({"Environment": {"Variables": {"A_B": "x" * 4096}}}, "4KB"),
            ({"Layers": [f"arn:aws:lambda:us-east-1:123456789012:layer:l:{n}" for n in range(1, 7)]}, "5 layers"),
            ({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]}, "does not exist"),
            ({"Runtime": "nodejs20.x"}, "runtime"),
            ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "does not support SnapStart"),
        ],
    )
    def test_what_lambda_would_not_have_changes_nothing(self, aws, create, settings, message):
        before = create()
        with pytest.raises(botocore.exceptions.ClientError, match=message) as raised:
            aws.update_function_configuration(FunctionName="function", **settings)
        assert code_of(raised) == "InvalidParameterValueException"
        assert aws.get_function_configuration(FunctionName="function")["RevisionId"] == before["RevisionId"]

    def test_name_is_taken_and_set_free(self, aws, create):
        create()
        with pytest.raises(aws.exceptions.ResourceConflictException):
            create()
        aws.delete_function(FunctionName="function")
        for call in (aws.get_function, aws.invoke, aws.delete_function):
            with pytest.raises(aws.exceptions.ResourceNotFoundException):
                call(FunctionName="function")
        create("ordinary.count")
        assert json.load(aws.invoke(FunctionName="function")["Payload"]) == 1

    def test_list_and_tags(self, aws, create):
        arn = create()["FunctionArn"]
        create(name="other")
        listed = [page["Functions"] for page in aws.get_paginator("list_functions").paginate()]
        assert [f["FunctionName"] for f in listed[0]] == ["function", "other"]
        aws.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
        aws.untag_resource(Resource=arn, TagKeys=["a"])
        assert aws.list_tags(Resource=arn)["Tags"] == {"b": "2"}


class TestFileSystem:
    def test_is_mounted_where_the_configuration_says(self, aws, create, mounts, tmp_path):
        mounts[ACCESS_POINT] = tmp_path
        create("ordinary.write", **ON_EFS)
        answer = aws.invoke(FunctionName="function", Payload=b'{"path": "/mnt/efs/x", "size": 3}')
        assert json.load(answer["Payload"]) == "written"
        assert (tmp_path / "x").stat().st_size == 3

    def test_can_be_read_only(self, aws, create, mounts, tmp_path):
        mounts[ACCESS_POINT] = Bind(tmp_path, "/mnt/efs")
        create("ordinary.write", **ON_EFS)
        answer = aws.invoke(FunctionName="function", Payload=b'{"path": "/mnt/efs/x", "size": 3}')
        assert json.load(answer["Payload"]) == "EROFS"

    def test_that_is_not_there_cannot_be_mounted(self, aws, create):
        create(**ON_EFS)
        with pytest.raises(aws.exceptions.EFSMountFailureException):
            aws.invoke(FunctionName="function")

    def test_first_mount_can_time_out(self, aws, create, mounts, endpoint, tmp_path):
        mounts[ACCESS_POINT] = tmp_path
        create(**ON_EFS)
        endpoint.invoker.mount_timeouts = 1
        with pytest.raises(aws.exceptions.EFSMountTimeoutException):
            aws.invoke(FunctionName="function")
        assert aws.invoke(FunctionName="function")["StatusCode"] == 200


class TestLayers:
    def test_function_imports_from_its_layers(self, aws, create):
        layers = [
            aws.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(**files)})["LayerVersionArn"]
            for name, files in {
                "low": {"python__a": "WHO = 'low'", "python__b": "WHO = 'low'"},
                "high": {"python__b": "WHO = 'high'"},
            }.items()
        ]
        configuration = create("ordinary.load", Layers=layers)
        assert [layer["Arn"] for layer in configuration["Layers"]] == layers
        answers = [json.load(aws.invoke(FunctionName="function", Payload=f'"{m}"')["Payload"]) for m in "ab"]
        assert answers == ["low", "high"]

    def test_versions_count_up_for_ever(self, aws):
        for expected in (1, 2):
            made = aws.publish_layer_version(
                LayerName="l",
                Description=f"number {expected}",
                Content={"ZipFile": CODE},
                CompatibleRuntimes=["python3.11"],
            )
            assert made["Version"] == expected
            assert made["LayerVersionArn"] == f"{made['LayerArn']}:{expected}"
        aws.delete_layer_version(LayerName="l", VersionNumber=2)
        aws.delete_layer_version(LayerName="l", VersionNumber=2)
        assert aws.publish_layer_version(LayerName="l", Content={"ZipFile": CODE})["Version"] == 3
        listed = aws.list_layer_versions(LayerName="l")["LayerVersions"]
        assert [version["Version"] for version in listed] == [3, 1]
        compatible = aws.list_layer_versions(LayerName="l", CompatibleRuntime="python3.11")["LayerVersions"]
        assert [version["Version"] for version in compatible] == [1]
        one = aws.get_layer_version(LayerName="l", VersionNumber=1)
        assert one["Description"] == "number 1"
        assert one["Content"] == aws.get_layer_version_by_arn(Arn=one["LayerVersionArn"])["Content"]
        with urllib.request.urlopen(one["Content"]["Location"]) as archive:
            assert archive.read() == CODE
        with pytest.raises(aws.exceptions.ResourceNotFoundException):
            aws.get_layer_version(LayerName="l", VersionNumber=2)

    def test_deleted_version_stays_with_its_functions(self, aws, create):
        content = {"ZipFile": zipped(python__a="WHO = 'still here'")}
        layer = aws.publish_layer_version(LayerName="l", Content=content)["LayerVersionArn"]
        create("ordinary.load", Layers=[layer])
        aws.delete_layer_version(LayerName="l", VersionNumber=1)
        assert json.load(aws.invoke(FunctionName="function", Payload=b'"a"')["Payload"]) == "still here"


class TestPackages:
    def test_modes_and_links_are_kept(self, aws, create):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(
                "h.py", "import os, subprocess\ndef f(e, c): return subprocess.check_output(['./link']).decode()"
            )
            tool = zipfile.ZipInfo("bin/tool")
            tool.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(tool, "#!/bin/sh\necho run\n")
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "bin/tool")
        create("h.f", code=buffer.getvalue())
        assert json.load(aws.invoke(FunctionName="function")["Payload"]) == "run\n"

    def test_package_from_s3(self, lambda_runtime):
        objects = {("bucket", "key", None): CODE}
        with LambdaEndpoint(
            {lambda_runtime.name: lambda_runtime}, read_object=lambda *where: objects[where]
        ) as endpoint:
            aws = client(endpoint)
            settings = {
                "Runtime": lambda_runtime.name,
                "Role": "arn:aws:iam::123456789012:role/r",
                "Handler": "ordinary.echo",
            }
            made = aws.create_function(FunctionName="f", Code={"S3Bucket": "bucket", "S3Key": "key"}, **settings)
            assert made["CodeSize"] == len(CODE)
            with pytest.raises(aws.exceptions.InvalidParameterValueException, match="NoSuchKey"):
                aws.create_function(FunctionName="g", Code={"S3Bucket": "bucket", "S3Key": "other"}, **settings)

    @pytest.mark.parametrize(
        ("package", "code", "message"),
        [
            (b"not a zip", "InvalidParameterValueException", "Could not unzip"),
            (zipped(**{"..__x": "x"}), "InvalidParameterValueException", "Could not unzip"),
            (bytes(52_700_000), "RequestTooLargeException", "70167211"),
        ],
    )
    def test_that_lambda_would_refuse(self, aws, create, package, code, message):
        create()
        with pytest.raises(botocore.exceptions.ClientError, match=message) as raised:
            aws.update_function_code(FunctionName="function", ZipFile=package)
        assert code_of(raised) == code

    def test_unpacked_size_counts_layers(self, aws, create):
        create()
        half = zipfile_of_zeros(140_000_000)
        layers = [
            aws.publish_layer_version(LayerName=name, Content={"ZipFile": half})["LayerVersionArn"] for name in "ab"
        ]
        with pytest.raises(aws.exceptions.InvalidParameterValueException, match="262144000"):
            aws.update_function_configuration(FunctionName="function", Layers=layers)
        aws.update_function_configuration(FunctionName="function", Layers=layers[:1])


def zipfile_of_zeros(size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(size))
    return buffer.getvalue()


class TestProtocol:
    def test_field_that_the_model_has_not_is_refused(self, endpoint):
        body = json.dumps({"FunctionName": "f", "Cod": {}}).encode()
        request = urllib.request.Request(f"{endpoint.url}/2015-03-31/functions", data=body, method="POST")
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request)
        assert raised.value.headers["x-amzn-ErrorType"] == "SerializationException"
        raised.value.close()

    def test_operation_that_the_endpoint_has_not(self, aws):
        with pytest.raises(botocore.exceptions.ClientError, match="does not know GetAccountSettings"):
            aws.get_account_settings()

    def test_defect_of_an_operation_shows_when_the_endpoint_is_closed(self):
        endpoint = LambdaEndpoint({})
        endpoint.functions.list_functions = None  # anything that breaks
        with pytest.raises(botocore.exceptions.ClientError):
            client(endpoint, retries={"total_max_attempts": 1}).list_functions()
        with pytest.raises(ExceptionGroup):
            endpoint.close()
