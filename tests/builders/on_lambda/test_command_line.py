# ruff: noqa: N803 - operations take boto3's own parameter names
"""The commands as they are typed, over real boto3, to functions that really run."""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ON_EFS, ROLE, client, zipped
from tests.framework_root import plain_target

RUNTIME, ARCH = plain_target().split("-")
HANDLER = b"""
import efsprov.bootstrap
import wired

def handler(event, context):
    return [wired.VALUE, efsprov.bootstrap.releases["wired"].id]
"""
MAKE = (
    "builder",
    "deploy",
    "--function",
    "builder",
    "--role",
    ROLE,
    "--access-point",
    ACCESS_POINT,
    "--runtime",
    RUNTIME,
)
MAKE += ("--arch", ARCH, "--subnet", "subnet-1", "--security-group", "sg-1", "--tmp", "1024", "--timeout", "120")
SYNC = ("sync", "--builder", "lambda", "--builder-function", "builder", "--root", "/mnt/efs", "--runtime", RUNTIME)


class Denying(http.server.BaseHTTPRequestHandler):
    """An AWS that lets nobody do anything."""

    def do_POST(self):
        body = (
            b"<Response><Errors><Error><Code>AccessDenied</Code><Message>not you</Message></Error></Errors></Response>"
        )
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


class Disk:
    """A file system of EFS."""

    def describe_access_points(self, *, AccessPointId, **_):
        point = {"AccessPointId": AccessPointId, "AccessPointArn": ACCESS_POINT, "FileSystemId": "fs-0123456789abcdef0"}
        folder = {"Path": "/", "CreationInfo": {"OwnerUid": 1, "OwnerGid": 1, "Permissions": "755"}}
        user = {"PosixUser": {"Uid": 1, "Gid": 1}, "RootDirectory": folder, "LifeCycleState": "available"}
        return {"AccessPoints": [point | user]}

    def describe_file_systems(self, *, FileSystemId, **_):
        sizes = {"Value": 5 << 30}
        made = {
            "OwnerId": "1",
            "CreationToken": "t",
            "CreationTime": 1,
            "NumberOfMountTargets": 1,
            "PerformanceMode": "generalPurpose",
        }
        response = {
            "FileSystemId": FileSystemId,
            "LifeCycleState": "available",
            "ThroughputMode": "bursting",
            "SizeInBytes": sizes,
        }
        return {"FileSystems": [response | made | {"Tags": []}]}

    def describe_lifecycle_configuration(self, *, FileSystemId):
        return {"LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}]}

    def describe_mount_targets(self, *, FileSystemId):
        return {"MountTargets": []}


class Shell:
    def __init__(self, bench, folder, endpoints):
        self.bench, self.folder = bench, folder
        names = ("LAMBDA", "EFS", "EC2", "STS", "IAM", "SSM")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "COLUMNS": "200",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "PIP_FIND_LINKS": f"{bench.wheelhouse.url}/",
            "PIP_NO_INDEX": "1",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            **{f"AWS_ENDPOINT_URL_{name}": endpoints[name.lower()] for name in names},
        }
        installers = {name: os.environ[name] for name in os.environ if name.startswith(("UV_", "PIP_"))}
        self.own_index = {**installers, "PIP_NO_INDEX": ""}

    def start(self, *arguments, **more):
        return subprocess.Popen(
            [sys.executable, "-c", "from efsprov.cli.main import main; main()", *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments, code=0, **more):
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, out + err
        return out

    def json(self, *arguments, code=0, **more):
        return json.loads(self(*arguments, "--json", code=code, **more))

    def deploy(self, *options):
        environment = {name: value for name, value in self.environment.items() if not name.startswith("PIP_")}
        self.environment, kept = environment, self.environment
        try:
            return self.json(*MAKE, *options, **{n: v for n, v in self.own_index.items() if v})
        finally:
            self.environment = kept


@pytest.fixture
def shell(bench, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    with (
        RestJsonServer("efs", Disk()) as disk,
        StrictAws({"efs": rest_json(disk)}) as efs,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Denying) as denying,
    ):
        threading.Thread(target=denying.serve_forever, args=(0.02,), daemon=True).start()
        closed = f"http://127.0.0.1:{denying.server_address[1]}"
        endpoints = {"lambda": bench.double.url, "efs": efs.url} | dict.fromkeys(("ec2", "sts", "iam", "ssm"), closed)
        yield Shell(bench, folder, endpoints)
        denying.shutdown()


@pytest.fixture
def user_function(bench):
    def create(**settings):
        vpc = {"VpcConfig": ON_EFS["VpcConfig"], "Environment": {"Variables": {"MINE": "1"}}}
        fields = {"Runtime": RUNTIME, "Role": ROLE, "Timeout": 30, "Architectures": [ARCH], "Handler": "h.handler"}
        aws = client(bench.endpoint)
        aws.create_function(FunctionName="user", Code={"ZipFile": zipped(h=HANDLER)}, **(fields | vpc | settings))
        aws.get_function_configuration(FunctionName="user")
        return aws

    return create


def configuration(aws):
    response = aws.get_function_configuration(FunctionName="user")
    return {
        name: value
        for name, value in response.items()
        if name not in {"RevisionId", "LastModified", "ResponseMetadata"}
    }


def test_from_an_empty_file_system_to_a_function_that_imports_from_it(shell, bench, user_function):
    made = shell.deploy()
    assert made["deployment"]["action"] == "create"
    assert made["package"]["unzipped"] < made["package"]["limit"]
    assert shell.deploy()["deployment"]["action"] == "nothing"

    bench.wheel("wired", files=20)
    synced = shell.json(*SYNC, "--framework", "wired==1.0")["result"]
    assert synced["outcome"] == "published"
    assert bench.builds() == 1

    assert shell.json("layer", "bootstrap", "--publish")["layer"]["published"] is True
    assert shell.json("layer", "bootstrap", "--publish")["layer"]["published"] is False

    aws = user_function()
    before = configuration(aws)
    wire = ("attach", "--function", "user", "--channel", "wired", "--access-point", ACCESS_POINT)
    wire += ("--builder-function", "builder")
    planned = shell.json(*wire, "--dry-run")
    assert planned["done"] is False
    assert {s["what"] for s in planned["plan"]["settings"]} >= {"file system", "layers", "variable EFSPROV_ROOT"}
    assert configuration(aws) == before
    shell(*wire)
    assert json.load(aws.invoke(FunctionName="user")["Payload"]) == [7, synced["release"]]
    attached = configuration(aws)
    assert attached["Environment"]["Variables"]["MINE"] == "1"
    assert {n: v for n, v in attached.items() if n not in {"Environment", "FileSystemConfigs", "Layers"}} == {
        n: v for n, v in before.items() if n != "Environment"
    }
    assert shell.json(*wire)["plan"]["settings"] == []
    assert shell.json("detach", "--function", "user", "--dry-run")["plan"]["changes"]
    shell("detach", "--function", "user")
    assert configuration(aws) == before

    assert shell("builder", "remove", "--function", "user", "--yes", code=12) == ""
    assert shell("builder", "remove", "--function", "builder") == "", "nobody is there to be asked"
    assert aws.get_function_configuration(FunctionName="builder")["FunctionName"] == "builder"
    shell("builder", "remove", "--function", "builder", "--yes")
    assert shell("builder", "remove", "--function", "builder", "--yes", code=10) == ""


def test_a_published_version_is_never_taken_for_the_function_and_an_alias_moves_when_asked(shell, bench, user_function):
    aws = user_function(**ON_EFS)
    for number, name in enumerate(("beta", "live"), 1):
        assert aws.publish_version(FunctionName="user")["Version"] == "1", number
        aws.create_alias(FunctionName="user", Name=name, FunctionVersion="1")
    aws.create_alias(FunctionName="user", Name="newest", FunctionVersion="$LATEST")
    before = configuration(aws)
    wire = ("attach", "--channel", "wired", "--target", f"{RUNTIME}-{ARCH}", "--no-layer", "--function")
    for named in ("user:live", "user:1", f"{before['FunctionArn']}:live"):
        error = shell.json(*wire, named, code=2)["error"]
        assert "what is published never changes" in error["message"]
        assert "--publish --alias live" in error["hint"]
    for options, code in ((("--alias", "live"), 2), (("--publish", "--alias", "other"), 10)):
        shell.json(*wire, "user", *options, code=code)
    assert configuration(aws) == before
    assert bench.endpoint.count("UpdateFunctionConfiguration") == 0

    (note,) = shell.json(*wire, "user")["plan"]["notes"]
    assert "beta (version 1) and live (version 1)" in note
    done = shell.json(*wire, "user:$LATEST", "--publish", "--alias", "live")
    assert (done["version"], done["alias"]) == ("2", "live")
    assert ["beta (version 1)" in note for note in done["plan"]["notes"]] == [True]
    leads = {
        alias["Name"]: alias["FunctionVersion"] for alias in pages(aws.list_aliases, "Aliases", FunctionName="user")
    }
    assert leads == {"beta": "1", "live": "2", "newest": "$LATEST"}
    assert "2" in shell("detach", "--function", "user", "--publish")


def test_several_functions_are_attached_together_or_none_is(shell, bench, user_function):
    aws = user_function(**ON_EFS)
    settings = {"Runtime": RUNTIME, "Role": ROLE, "Handler": "h.h", "Architectures": [ARCH]}
    code = {"ZipFile": zipped(h="def h(event, context): pass")}
    aws.create_function(FunctionName="second", Code=code, **settings, **ON_EFS)
    aws.get_function_configuration(FunctionName="second")
    wire = ("attach", "--channel", "wired", "--target", f"{RUNTIME}-{ARCH}", "--no-layer")
    before = configuration(aws)
    error = shell.json(*wire, "--function", "user", "--function", "third", code=14)["error"]
    assert "Function not found" in error["message"]
    assert configuration(aws) == before
    planned = shell.json(*wire, "--function", "user", "--function", "second", "--function", "user", "--dry-run")
    assert [(one["plan"]["function"], one["done"]) for one in planned["functions"]] == [
        ("user", False),
        ("second", False),
    ]
    assert configuration(aws) == before
    done = shell.json(*wire, "--function", "user", "--function", "second")["functions"]
    assert [one["done"] for one in done] == [True, True]
    for name in ("user", "second"):
        variables = aws.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        assert variables["EFSPROV_CHANNEL"] == "wired"
    shell("detach", "--function", "user", "--function", "second")
    assert configuration(aws) == before


def pages(list_some, key, **parameters):
    found, marker = [], {}
    while True:
        page = list_some(**parameters, **marker)
        found += page[key]
        if "NextMarker" not in page:
            return found
        marker = {"Marker": page["NextMarker"]}


@pytest.mark.parametrize("stated", [f"python3.13-{ARCH}", f"{RUNTIME}-{'arm64' if ARCH == 'x86_64' else 'x86_64'}"])
def test_attach_refuses_and_doctor_finds_a_wrong_runtime_or_architecture(shell, bench, user_function, stated):
    aws = user_function(**ON_EFS, Environment={"Variables": {"EFSPROV_ROOT": "/mnt/efs", "EFSPROV_CHANNEL": "wired"}})
    before = configuration(aws)
    wire = ("attach", "--function", "user", "--channel", "wired", "--target", stated, "--no-layer")
    response = shell.json(*wire, code=4)["error"]
    assert response["code"] == "gate"
    assert stated in response["message"]
    assert configuration(aws) == before
    assert bench.endpoint.count("UpdateFunctionConfiguration") == 0

    found = shell.json("doctor", "--function", "user", "--target", stated, "--channel", "wired", code=1)["findings"]
    by_check = {finding["check"]: finding for finding in found}
    assert by_check["target"]["level"] == "problem"
    assert stated in by_check["target"]["message"]
    assert by_check["credentials"]["level"] == "problem"
    assert by_check["throughput mode"]["level"] == "warning"
    assert by_check["lifecycle policy"]["level"] == "problem"
    assert by_check["role's permissions"]["level"] == "unknown"
    assert "Access denied" in by_check["role's permissions"]["message"]
    assert by_check["mount path"]["level"] == "ok"


def test_a_sync_that_is_killed_is_followed_by_its_run(shell, bench):
    shell.deploy()
    bench.wheel("orphan", files=50, delay=2)
    process = shell.start(*SYNC, "--framework", "orphan==1.0")
    run = None
    for line in process.stderr:
        if match := re.search(r"run ([0-9a-f]{8,})", line):
            run = match[1]
            break
    deadline = time.monotonic() + 60
    while not (bench.root / ".runs" / run / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    followed = shell.json("builder", "follow", "--function", "builder", "--run", run)["result"]
    assert followed["outcome"] == "published"
    bench.channel = lambda name="orphan": type(bench).channel(bench, "orphan")
    bench.assert_one_verified_release(followed["release"])
