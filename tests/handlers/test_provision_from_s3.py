import json
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from devtools.lambda_sandbox import Bind, Function, LambdaEnvironment
from efsprov.models.manifest import read_model_manifest
from efsprov.store.journal import read_state
from efsprov.store.layout import Root
from efsprov.store.verify import check_channel, check_release
from tests.framework_root import plain_target
from tests.handlers.serving import HANDLERS, SAMPLES
from tests.models.test_uploads import event_bridge, notification

EFSPROV = Path(__file__).parents[2] / "efsprov"
# What the handler's package holds besides efsprov, as the project's own metadata says.
NEEDED = ("pydantic", "tenacity", "boto3")


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    """The function's package: the handler and efsprov."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copy(HANDLERS / "provision_from_s3.py", folder)
    shutil.copytree(EFSPROV, folder / "efsprov", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def libraries(framework_roots) -> dict[str, Bind]:
    found = framework_roots.get("efsprov-libraries", plain_target(), NEEDED)
    return {"/mnt/libraries": Bind(found.site, "/mnt/libraries")}


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def bucket(fake_aws) -> str:
    name = f"b{uuid.uuid4().hex[:12]}"
    fake_aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def run(lambda_runtime, package, libraries, root, fake_aws):
    """Makes environments of the function."""
    made = []

    def make(**variables) -> LambdaEnvironment:
        function = Function(
            runtime=lambda_runtime,
            code=package,
            handler="provision_from_s3.handler",
            variables={
                "EFSPROV_ROOT": "/mnt/efs",
                "PYTHONPATH": "/mnt/libraries",
                "AWS_ENDPOINT_URL": fake_aws.url,
                **variables,
            },
            mounts={"/mnt/efs": root, **libraries},
            timeout=120,
            init_timeout=60,
            memory_mb=1024,
        )
        made.append(LambdaEnvironment(function))
        return made[-1]

    yield make
    for environment in made:
        environment.close()


def of(bucket: str, event: dict) -> dict:
    return json.loads(json.dumps(event).replace('"name": "b"', f'"name": "{bucket}"'))


def model(root, name):
    return Root.open(root).channel(name, kind="model")


def test_upload_becomes_the_current_release(run, root, bucket, fake_aws):
    fake_aws.client("s3").put_object(Bucket=bucket, Key="models/net.onnx", Body=(SAMPLES / "matmul.onnx").read_bytes())
    answer = run(MADE_FOR="onnxruntime").invoke(of(bucket, notification("models/net.onnx", sequencer="01")))
    assert answer.error is None, answer.logs
    (done,) = answer.payload["provisioned"]
    assert (done["model"], done["outcome"]) == ("net", "published")
    channel = model(root, "net")
    assert read_state(channel).current == done["release"]
    assert check_release(channel, done["release"], full=True) == ()
    facts = read_model_manifest(channel, done["release"]).model
    assert (facts.format, facts.made_for) == ("onnx", "onnxruntime")
    assert facts.origin["uri"] == f"s3://{bucket}/models/net.onnx"
    assert facts.origin["sequencer"] == "01"


def test_event_that_is_delivered_twice_publishes_once(run, root, bucket, fake_aws):
    fake_aws.client("s3").put_object(Bucket=bucket, Key="models/net.onnx", Body=(SAMPLES / "matmul.onnx").read_bytes())
    environment = run()
    event = of(bucket, event_bridge("models/net.onnx", sequencer="01"))
    first, second = (environment.invoke(event).payload["provisioned"][0] for _ in range(2))
    assert second == {"model": "net", "outcome": "superseded", "release": first["release"]}
    assert len(read_state(model(root, "net")).live) == 1


def test_event_that_is_delivered_many_times_at_once_publishes_once(run, root, bucket, fake_aws):
    fake_aws.client("s3").put_object(Bucket=bucket, Key="models/net.onnx", Body=(SAMPLES / "matmul.onnx").read_bytes())
    event = of(bucket, notification("models/net.onnx", sequencer="01"))
    environments = [run() for _ in range(4)]
    answers = []
    threads = [threading.Thread(target=lambda e=e: answers.append(e.invoke(event))) for e in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.error for answer in answers] == [None] * 4
    outcomes = sorted(answer.payload["provisioned"][0]["outcome"] for answer in answers)
    assert outcomes.count("published") == 1
    assert set(outcomes) <= {"published", "unchanged", "superseded"}
    channel = model(root, "net")
    assert len(read_state(channel).live) == 1
    assert check_channel(channel) == ()


def test_earlier_upload_that_comes_late_changes_nothing(run, root, bucket, fake_aws):
    client = fake_aws.client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old, new = (
        client.put_object(Bucket=bucket, Key="models/net", Body=(SAMPLES / name).read_bytes())["VersionId"]
        for name in ("matmul.onnx", "dense.tflite")
    )
    environment = run()
    events = [
        of(bucket, notification("models/net", versionId=version, sequencer=number))
        for version, number in ((new, "02"), (old, "01"), (new, "02"))
    ]
    outcomes = [environment.invoke(event).payload["provisioned"][0]["outcome"] for event in events]
    assert outcomes == ["published", "superseded", "superseded"]
    channel = model(root, "net")
    assert read_model_manifest(channel, read_state(channel).current).model.format == "tflite"


def test_folder_is_published_when_it_is_said_to_be_whole(run, root, bucket, fake_aws):
    client, environment = fake_aws.client("s3"), run()
    for file in sorted((SAMPLES / "dense_savedmodel").rglob("*.*")):
        key = f"models/dense/{file.relative_to(SAMPLES / 'dense_savedmodel')}"
        client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        assert environment.invoke(of(bucket, notification(key, sequencer="01"))).payload == {"provisioned": []}
    client.put_object(Bucket=bucket, Key="models/dense/_SUCCESS", Body=b"")
    answer = environment.invoke(of(bucket, notification("models/dense/_SUCCESS", sequencer="02")))
    assert answer.payload["provisioned"][0]["outcome"] == "published"
    channel = model(root, "dense")
    assert read_model_manifest(channel, read_state(channel).current).model.format == "savedmodel"
    assert not list(root.rglob("_SUCCESS"))


def test_what_needs_trust_is_refused_and_taken_with_it(run, root, bucket, fake_aws):
    fake_aws.client("s3").put_object(Bucket=bucket, Key="models/net.h5", Body=(SAMPLES / "dense.h5").read_bytes())
    event = of(bucket, notification("models/net.h5", sequencer="01"))
    answer = run().invoke(event)
    assert answer.error.type == "ModelError"
    assert "may run code when it is loaded" in answer.error.message
    assert list(root.iterdir()) == []
    assert run(TRUST="h5").invoke(event).payload["provisioned"][0]["outcome"] == "published"


def test_not_activated_when_reported_so(run, root, bucket, fake_aws):
    fake_aws.client("s3").put_object(Bucket=bucket, Key="models/net.onnx", Body=(SAMPLES / "matmul.onnx").read_bytes())
    run(ACTIVATE="no").invoke(of(bucket, notification("models/net.onnx", sequencer="01")))
    state = read_state(model(root, "net"))
    assert (len(state.live), state.current) == (1, None)


def test_object_that_is_gone_is_an_error(run, bucket):
    answer = run().invoke(of(bucket, notification("models/net.onnx", sequencer="01")))
    assert answer.error.type == "NotFoundError"


def test_test_event_of_s3_is_taken(run):
    answer = run().invoke({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
    assert answer.payload == {"provisioned": []}


def test_package_needs_no_more_than_it_says(package, libraries):
    """Neither uv nor paramiko nor the command line is imported by the handler."""
    code = (
        "import sys; import efsprov.models.provision, efsprov.models.uploads, efsprov.aws.objects; print(*sys.modules)"
    )
    path = f"{package}:{libraries['/mnt/libraries'].source}"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert not {"uv", "paramiko", "fabric", "typer", "rich", "elftools"} & set(run.stdout.split())
