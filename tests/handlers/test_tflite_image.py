import base64
import io
import struct
import zlib
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment
from tests.handlers.serving import SAMPLES, http, push, read

pytestmark = pytest.mark.framework


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(raw: bytes) -> dict:
    """The event of a picture that was posted as it is."""
    return http(base64.b64encode(raw).decode(), isBase64Encoded=True, headers={"content-type": "image/png"})


@pytest.fixture(scope="module", params=["colours", "colours_int8"])
def served(request, deploy, tflite_root, tmp_path_factory) -> Iterator[tuple[LambdaEnvironment, str]]:
    root = tmp_path_factory.mktemp("root")
    model = tmp_path_factory.mktemp("model")
    (model / "labels.txt").write_text("red\ngreen\nblue\n")
    (model / "colours.tflite").write_bytes((SAMPLES / f"{request.param}.tflite").read_bytes())
    release = push(root, "colours", model)
    function = deploy(["tflite_image"], root, [tflite_root], variables={"EFSPROV_MODEL": "colours"})
    with LambdaEnvironment(function) as environment:
        yield environment, release


def ask(served, event):
    answer = served[0].invoke(event)
    assert answer.error is None, answer.logs
    return read(answer.payload)


@pytest.mark.parametrize(("colour", "label"), [((255, 0, 0), "red"), ((10, 200, 30), "green"), ((0, 100, 230), "blue")])
def test_picture_of_any_size_is_classified(served, colour, label):
    status, body = ask(served, picture(png(300, 200, colour)))
    assert status == 200
    assert body["scores"] == pytest.approx([part / 255 for part in colour], abs=0.01)
    assert [body["top"][0][key] for key in ("label", "index")] == [label, ["red", "green", "blue"].index(label)]
    assert (body["model"], body["release"]) == ("colours", served[1])


def test_picture_in_json(served):
    encoded = base64.b64encode(png(8, 8, (255, 0, 0))).decode()
    assert ask(served, http({"image": encoded}))[1]["top"][0]["label"] == "red"
    assert ask(served, http({"image": f"data:image/png;base64,{encoded}"}))[1]["top"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (http(None), 400, "no-body"),
        (http("hello"), 400, "not-json"),
        (http("{nonsense"), 400, "not-json"),
        (http({"picture": "x"}), 400, "no-image"),
        (http({"image": 7}), 400, "no-image"),
        (http({"image": "*"}), 400, "not-base64"),
        (http("*", isBase64Encoded=True), 400, "not-base64"),
        (picture(b"this is not a picture"), 415, "not-an-image"),
        (picture(b"%PDF-1.7 nor is this"), 415, "not-an-image"),
        (picture(png(100, 100, (1, 2, 3))[:60]), 422, "damaged-image"),
        (picture(png(20_000, 3_000, (1, 2, 3))), 413, "too-many-pixels"),
        (http("x" * 50_000_000), 413, "too-large"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_bad_input_is_answered_with_what_is_wrong(served, event, status, code):
    result, body = ask(served, event)
    assert (result, body["error"]["code"]) == (status, code)
    assert io.StringIO(body["error"]["message"]).read().endswith(".")


def test_model_of_another_format_is_reported_when_the_function_starts(deploy, tflite_root, tmp_path):
    release = push(tmp_path / "root", "other", SAMPLES / "matmul.onnx")
    function = deploy(["tflite_image"], tmp_path / "root", [tflite_root], variables={"EFSPROV_MODEL": "other"})
    with LambdaEnvironment(function) as environment:
        answer = environment.invoke(http({"inputs": [[1, 2]]}))
    assert answer.error is not None
    assert f"Release {release} of model other holds no .tflite file" in answer.error.message
