"""`efsprov layer deps` as it is typed: into a folder, into a function, into an account."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from devtools.lambda_sandbox import Function, LambdaEnvironment
from devtools.lambda_sandbox.fixtures import lambda_runtime
from devtools.lambda_sandbox.layers import Layers
from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.lambda_sandbox.uploads import Uploads
from devtools.strict_aws import proof
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from tests.cli.conftest import RUNTIME
from tests.cli.json_page import differences, documented
from tests.printed_policies import printed_policies
from tests.wheelhouse import build_wheel

__all__ = ["lambda_runtime"]
BUCKET = "layers-of-ours"
HANDLER = """
import sys, tiny

def handler(event, context):
    return [tiny.__version__, tiny.__file__, tiny.__spec__.cached, sorted(sys.path)]
"""


@pytest.fixture
def filled(efsprov):
    efsprov.sync("tiny==2.0")
    return efsprov


def test_the_page_names_the_keys(filled):
    answer = filled("layer", "deps", "--root", filled.root, "--json")
    assert differences(answer.json, documented("layer deps")) == (set(), set())


def test_a_function_imports_the_package_from_the_layer_with_the_releases_bytecode(filled, lambda_runtime, tmp_path):
    answer = filled("layer", "deps", "--root", filled.root)
    assert answer.code == 0, answer.err
    assert re.search(r"efsprov-tiny-layer\.zip, [\d.]+ k?B \([\d.]+ k?B unzipped\)", answer.out)
    with zipfile.ZipFile(filled.folder / "efsprov-tiny-layer.zip") as archive:
        archive.extractall(tmp_path / "layer")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "h.py").write_text(HANDLER)
    function = Function(
        runtime=lambda_runtime, code=tmp_path / "code", handler="h.handler", layers=[tmp_path / "layer"], timeout=20
    )
    with LambdaEnvironment(function) as environment:
        version, file, cached, _ = environment.invoke({}).payload
    assert (version, file) == ("2.0", f"/opt/python/lib/{RUNTIME}/site-packages/tiny/__init__.py")
    bytecode = tmp_path / "layer" / Path(cached).relative_to("/opt")
    assert bytecode.read_bytes()[4:8] == b"\x01\0\0\0", "unchecked: the dates of the zip do not matter"


def test_several_layers_hold_it_together(filled):
    answer = filled("layer", "deps", "--root", filled.root, "--split", "2", "--output", ".", "--json")
    assert [layer["name"] for layer in answer.json["layers"]] == ["efsprov-tiny-1", "efsprov-tiny-2"]
    assert all((filled.folder / layer["path"]).stat().st_size == layer["size"] for layer in answer.json["layers"])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--output", "nowhere"), 2, "nowhere is not a folder"),
        (("--split", "6"), 2, "less than or equal to 5"),
        (("--reserve", "300"), 2, "300,000,000 are kept for others"),
        (("2019",), 10, "There is no release '2019'"),
    ],
)
def test_what_is_typed_wrongly_is_refused_in_words(filled, words, code, sentence):
    answer = filled("layer", "deps", *words, "--root", filled.root)
    assert sentence in " ".join(answer.err.split())
    assert answer.code == code
    assert not list(filled.folder.glob("*.zip"))


def test_the_printed_policy_is_what_publishing_takes(filled, tmp_path):
    document = printed_policies("layer", "--layer", "efsprov-tiny", region="us-east-1")["orchestrator"]
    with (
        StrictAws() as aws,
        RestJsonServer("lambda", Layers(tmp_path / "layers", Uploads(lambda *_: b""))) as server,
    ):
        aws.answer_by({"lambda": rest_json(server)})
        ann = aws.identities.add("ann", [document])
        environment = {**aws.environment, **ann.environment, "AWS_REGION": "us-east-1"}
        first, again = (
            filled("layer", "deps", "--root", filled.root, "--publish", "--json", **environment) for _ in range(2)
        )
        assert first.code == 0, first.err
        assert (first.json["layers"][0]["published"], again.json["layers"][0]["published"]) == (True, False)
        checks = [request.check for request in aws.identities.requests if request.principal == ann.arn]
    assert proof.refused([document], checks) == []
    assert proof.superfluous(document, checks) == []


@pytest.mark.slow
def test_a_layer_of_more_than_50_mb_goes_through_s3(filled, tmp_path):
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(53_000_000 // 32))
    build_wheel(filled.wheels, "noisy", "1.0", {"noisy/__init__.py": "", "noisy/data.bin": noise})
    assert filled.sync("noisy==1.0").code == 0
    options = ("--layer", "efsprov-noisy", "--bucket", BUCKET)
    document = printed_policies("layer", *options, region="us-east-1")["orchestrator"]
    words = ("layer", "deps", "--channel", "noisy", "--root", filled.root, "--publish")
    with StrictAws() as aws:
        s3 = aws.client("s3", region="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        uploads = Uploads(lambda bucket, key, _: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        with RestJsonServer("lambda", Layers(tmp_path / "layers", uploads)) as server:
            aws.answer_by({"lambda": rest_json(server)})
            ann = aws.identities.add("ann", [document])
            environment = {**aws.environment, **ann.environment, "AWS_REGION": "us-east-1"}
            refused = filled(*words, **environment)
            assert "Name a bucket for it with --bucket" in " ".join(refused.err.split())
            first, again = (filled(*words, "--bucket", BUCKET, "--json", **environment) for _ in range(2))
            assert first.code == 0, first.err
            assert (first.json["layers"][0]["published"], again.json["layers"][0]["published"]) == (True, False)
            assert len(aws.named("s3:CreateMultipartUpload")) == 1, "what lies there is not sent again"
