import json
import struct
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment
from tests.handlers.serving import SAMPLES, http, push, read
from tests.models.conftest import write_safetensors

pytestmark = pytest.mark.framework
ARCHITECTURE = """
import torch


class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 3)
"""


@pytest.fixture(scope="module")
def script(deploy, torch_root, tmp_path_factory) -> Iterator[tuple[LambdaEnvironment, str]]:
    root = tmp_path_factory.mktemp("root")
    release = push(root, "linear", SAMPLES / "linear_script.pt")
    with LambdaEnvironment(deploy(["pytorch_model"], root, [torch_root], variables={"EFSPROV_MODEL": "linear"})) as it:
        yield it, release


def ask(served, event):
    answer = served[0].invoke(event)
    assert answer.error is None, answer.logs
    return read(answer.payload)


def test_torchscript_answers_as_in_pytorch(script):
    status, body = ask(script, http({"inputs": [[1.0, 2.0]]}))
    assert status == 200
    assert body["outputs"] == [pytest.approx(json.loads((SAMPLES / "answers.json").read_text())["linear"][0])]
    assert (body["model"], body["release"]) == ("linear", script[1])


def test_safetensors_are_loaded_into_the_functions_own_architecture(deploy, torch_root, safetensors_root, tmp_path):
    root = tmp_path / "root"
    weights = {
        "weight": ("F32", [3, 2], struct.pack("<6f", 1, 2, 3, 4, 5, 6)),
        "bias": ("F32", [3], struct.pack("<3f", 10, 20, 30)),
    }
    release = push(root, "linear", write_safetensors(tmp_path / "model.safetensors", weights))
    function = deploy(
        ["pytorch_model"],
        root,
        [torch_root, safetensors_root],
        code={"architecture.py": ARCHITECTURE},
        variables={"EFSPROV_MODEL": "linear", "MODEL_CLASS": "architecture:Net"},
    )
    with LambdaEnvironment(function) as environment:
        status, body = ask((environment, release), http({"inputs": [[1, 1], [0, 1]]}))
    assert status == 200
    assert body == {"outputs": [[13, 27, 41], [12, 24, 36]], "model": "linear", "release": release}


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (http(None), 400, "no-body"),
        (http("{nonsense"), 400, "not-json"),
        (http("!", isBase64Encoded=True), 400, "not-base64"),
        (http({}), 400, "no-inputs"),
        (http({"inputs": 7}), 422, "values"),
        (http({"inputs": [[1, 2], [3]]}), 422, "values"),
        (http({"inputs": [["a", "b"]]}), 422, "values"),
        (http({"inputs": [[1, 2]], "dtype": "float8"}), 422, "dtype"),
        (http({"inputs": [[1, 2]], "dtype": "int64"}), 422, "shape"),
        (http({"inputs": [[1, 2, 3]]}), 422, "shape"),
        (http("x" * 50_000_000), 413, "too-large"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_answered_with_what_is_wrong(script, event, status, code):
    result, body = ask(script, event)
    assert (result, body["error"]["code"]) == (status, code)


def test_what_the_model_refuses_is_reported_without_its_insides(script):
    answer = script[0].invoke(http({"inputs": [[1, 2, 3]]}))
    assert read(answer.payload)[1]["error"]["message"] == "The model does not take torch.float32 of shape [1, 3]."
    assert "mat1 and mat2" in answer.logs


def test_model_of_another_format_is_reported_when_the_function_starts(deploy, torch_root, tmp_path):
    release = push(tmp_path / "root", "other", SAMPLES / "matmul.onnx")
    function = deploy(["pytorch_model"], tmp_path / "root", [torch_root], variables={"EFSPROV_MODEL": "other"})
    with LambdaEnvironment(function) as environment:
        answer = environment.invoke(http({"inputs": [[1, 2]]}))
    assert answer.error is not None
    assert f"Release {release} of model other holds no .safetensors, .pt or .pth file" in answer.error.message
