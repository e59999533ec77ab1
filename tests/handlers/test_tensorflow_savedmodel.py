import json
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment
from tests.handlers.serving import SAMPLES, http, push, read

pytestmark = pytest.mark.framework


@pytest.fixture(scope="module")
def served(deploy, tensorflow_root, tmp_path_factory) -> Iterator[tuple[LambdaEnvironment, str]]:
    root = tmp_path_factory.mktemp("root")
    release = push(root, "dense", SAMPLES / "dense_savedmodel")
    function = deploy(["tensorflow_savedmodel"], root, [tensorflow_root], variables={"EFSPROV_MODEL": "dense"})
    with LambdaEnvironment(function) as environment:
        yield environment, release


def ask(served, event):
    answer = served[0].invoke(event)
    assert answer.error is None, answer.logs
    return read(answer.payload)


def test_samples_are_answered_by_a_release_that_is_named(served):
    status, body = ask(served, http({"inputs": [[1.0, 2.0], [1.0, 2.0]]}))
    assert status == 200
    (outputs,) = body["outputs"].values()
    known = json.loads((SAMPLES / "answers.json").read_text())["dense"][0]
    assert outputs == [pytest.approx(known, abs=1e-5)] * 2
    assert (body["model"], body["release"]) == ("dense", served[1])


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (http(None), 400, "no-body"),
        (http("{nonsense"), 400, "not-json"),
        (http("!", isBase64Encoded=True), 400, "not-base64"),
        (http({}), 400, "no-inputs"),
        (http({"inputs": {"other": [[1, 2]]}}), 422, "inputs"),
        (http({"inputs": [["a", "b"]]}), 422, "values"),
        (http({"inputs": [[1, 2], [3]]}), 422, "values"),
        (http({"inputs": [[1, 2, 3]]}), 422, "shape"),
        (http("x" * 50_000_000), 413, "too-large"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_answered_with_what_is_wrong(served, event, status, code):
    result, body = ask(served, event)
    assert (result, body["error"]["code"]) == (status, code)


def test_shape_that_does_not_fit_is_reported_with_the_one_that_does(served):
    message = ask(served, http({"inputs": [[1, 2, 3]]}))[1]["error"]["message"]
    assert message.endswith("must be of shape (None, 2), this is (1, 3).")


def test_model_is_loaded_once_an_environment(served):
    served[0].invoke(http({"inputs": [[1, 2]]}))
    assert served[0].invoke(http({"inputs": [[1, 2]]})).init_duration is None


def test_model_of_another_format_is_reported_when_the_function_starts(deploy, tensorflow_root, tmp_path):
    release = push(tmp_path / "root", "other", SAMPLES / "matmul.onnx")
    function = deploy(
        ["tensorflow_savedmodel"], tmp_path / "root", [tensorflow_root], variables={"EFSPROV_MODEL": "other"}
    )
    with LambdaEnvironment(function) as environment:
        answer = environment.invoke(http({"inputs": [[1, 2]]}))
    assert answer.error is not None
    assert f"Release {release} of model other holds no saved_model.pb" in answer.error.message
