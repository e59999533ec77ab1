from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment
from tests.handlers.serving import SAMPLES, http, push, read

pytestmark = pytest.mark.framework


@pytest.fixture(scope="module")
def served(deploy, onnx_root, tmp_path_factory) -> Iterator[tuple[LambdaEnvironment, str]]:
    root = tmp_path_factory.mktemp("root")
    release = push(root, "matmul", SAMPLES / "external")
    function = deploy(["onnx_model"], root, [onnx_root], variables={"EFSPROV_MODEL": "matmul"})
    with LambdaEnvironment(function) as environment:
        yield environment, release


def ask(served, event):
    answer = served[0].invoke(event)
    assert answer.error is None, answer.logs
    return read(answer.payload)


def test_samples_are_answered_by_a_release_that_is_named(served):
    status, body = ask(served, http({"inputs": [[1, 2], [0, 1]]}))
    assert status == 200
    assert body == {"outputs": {"y": [[6, 9, 12], [3, 4, 5]]}, "model": "matmul", "release": served[1]}


def test_inputs_may_be_named(served):
    assert ask(served, http({"inputs": {"x": [[1, 2]]}}))[1]["outputs"]["y"] == [[6, 9, 12]]


def test_body_may_be_base64(served):
    body = "eyJpbnB1dHMiOiBbWzEsIDJdXX0="  # {"inputs": [[1, 2]]}
    assert ask(served, http(body, isBase64Encoded=True))[0] == 200


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (http(None), 400, "no-body"),
        (http(""), 400, "no-body"),
        ([], 400, "no-body"),
        (http("{nonsense"), 400, "not-json"),
        (http("[" * 100_000), 400, "not-json"),
        (http("!", isBase64Encoded=True), 400, "not-base64"),
        (http([1]), 400, "no-inputs"),
        (http({"input": [[1, 2]]}), 400, "no-inputs"),
        (http({"inputs": {"z": [[1, 2]]}}), 422, "inputs"),
        (http({"inputs": [["a", "b"]]}), 422, "values"),
        (http({"inputs": [[1, 2], [3]]}), 422, "values"),
        (http({"inputs": [[1, 2, 3]]}), 422, "shape"),
        (http({"inputs": 7}), 422, "shape"),
        (http("x" * 50_000_000), 413, "too-large"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_answered_with_what_is_wrong(served, event, status, code):
    result, body = ask(served, event)
    assert (result, body["error"]["code"]) == (status, code)
    assert body["error"]["message"].endswith(".")


def test_shape_that_does_not_fit_is_reported_with_the_one_that_does(served):
    message = ask(served, http({"inputs": [[1, 2, 3]]}))[1]["error"]["message"]
    assert message == "x must be of shape [None, 2], this is [1, 3]."


def test_output_that_is_no_number_leaks_nothing(served):
    answer = served[0].invoke(http('{"inputs": [[NaN, 1]]}'))
    status, body = read(answer.payload)
    assert status == 500
    assert body == {
        "error": {"code": "internal", "message": f"The model could not answer. Request {answer.request_id}."}
    }
    assert "ValueError" in answer.logs


def test_model_of_another_format_is_reported_when_the_function_starts(deploy, onnx_root, tmp_path):
    release = push(tmp_path / "root", "other", SAMPLES / "dense.tflite")
    function = deploy(["onnx_model"], tmp_path / "root", [onnx_root], variables={"EFSPROV_MODEL": "other"})
    with LambdaEnvironment(function) as environment:
        answer = environment.invoke(http({"inputs": [[1, 2]]}))
    assert answer.error is not None
    assert f"Release {release} of model other holds no .onnx file" in answer.error.message
