import json
import urllib.error
import urllib.request

import botocore.config
import botocore.exceptions
import pytest

from devtools.lambda_sandbox import Bind
from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, CODE, ON_EFS, ROLE, client, code_of, zipped


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
            settings = {"Runtime": lambda_runtime.name, "Role": ROLE, "Timeout": 30}
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
