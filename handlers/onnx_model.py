"""Serves an ONNX model from the file system, behind API Gateway or a function URL.

Handler: ``onnx_model.handler``. The function needs the file system, the layer with ``efsprov.bootstrap``, and EFSPROV_ROOT
(such as /mnt/efs), EFSPROV_CHANNEL (one that holds onnxruntime) and EFSPROV_MODEL (the model's name).

Body: ``{"inputs": [[1.0, 2.0]]}`` with a list of samples, or ``{"inputs": {"name": [...]}}`` where the model has several
inputs. Answer: ``{"outputs": {"name": [...]}, "model": "net", "release": "20261121T063000Z-3f2a9c1b"}``.
"""

import base64
import binascii
import json
import logging
import os
from pathlib import Path
from typing import Any

import efsprov.bootstrap  # comes first: it makes the release importable

# isort: split
import numpy as np
import onnxruntime

MODEL = os.environ["EFSPROV_MODEL"]
MAX_BODY = 6_291_456  # bytes; what Lambda takes at most in a request
FOLDER = Path(efsprov.bootstrap.model(MODEL))  # pinned for the life of this environment
RELEASE = FOLDER.parent.name
TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    **{
        f"tensor({kind})": kind
        for kind in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "tensor(string)": "str",
}


class BadInputError(ValueError):
    """What the caller sent cannot be answered; ``status`` and ``code`` say how it is reported."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def load() -> Any:
    """The session for the folder's model."""
    path = min(FOLDER.rglob("*.onnx"), key=lambda path: len(path.parts), default=None)
    if path is None:
        raise FileNotFoundError(f"Release {RELEASE} of model {MODEL} holds no .onnx file.")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


SESSION = load()  # once an environment, in the init phase
INPUTS = {each.name: each for each in SESSION.get_inputs()}
OUTPUTS = [each.name for each in SESSION.get_outputs()]


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an HTTP-shaped event."""
    try:
        return respond(200, predict(read_body(event)))
    except BadInputError as error:
        return respond(error.status, {"error": {"code": error.code, "message": str(error)}})
    except Exception:
        logging.getLogger().exception("the model could not answer")
        request = getattr(context, "aws_request_id", "")
        return respond(
            500, {"error": {"code": "internal", "message": f"The model could not answer. Request {request}."}}
        )


def predict(body: Any) -> dict[str, Any]:
    """Answer a decoded body; raises BadInputError."""
    if not isinstance(body, dict) or "inputs" not in body:
        raise BadInputError(400, "no-inputs", 'The body must be a JSON object with "inputs".')
    given = body["inputs"] if isinstance(body["inputs"], dict) else {next(iter(INPUTS)): body["inputs"]}
    if given.keys() != INPUTS.keys():
        raise BadInputError(422, "inputs", f"The model takes the inputs {', '.join(INPUTS)}.")
    outputs = SESSION.run(OUTPUTS, {name: to_array(given[name], spec) for name, spec in INPUTS.items()})
    answer = {name: np.asarray(value).tolist() for name, value in zip(OUTPUTS, outputs, strict=True)}
    return {"outputs": answer, "model": MODEL, "release": RELEASE}


def to_array(value: Any, spec: Any) -> Any:
    """An array of the input's type and shape."""
    kind = TYPES.get(spec.type, "float32")
    try:
        array = np.asarray(value, dtype=kind)
    except (ValueError, TypeError, OverflowError):
        raise BadInputError(422, "values", f"{spec.name} must be a list of equally long lists of {kind}.") from None
    fits = len(spec.shape) == array.ndim and all(
        not isinstance(wanted, int) or wanted == there for wanted, there in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = [size if isinstance(size, int) else None for size in spec.shape]
        raise BadInputError(422, "shape", f"{spec.name} must be of shape {wanted}, this is {list(array.shape)}.")
    return array


def read_body(event: Any) -> Any:
    """The decoded JSON body of an event; raises BadInputError."""
    body = event.get("body") if isinstance(event, dict) else None
    if not isinstance(body, str) or not body:
        raise BadInputError(400, "no-body", "The request has no body.")
    if len(body) > MAX_BODY:
        raise BadInputError(413, "too-large", f"The body is larger than {MAX_BODY} bytes.")
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body
        return json.loads(raw)
    except binascii.Error:
        raise BadInputError(400, "not-base64", "The body is not base64, although the event says so.") from None
    except (ValueError, RecursionError):
        raise BadInputError(400, "not-json", "The body is not JSON.") from None


def respond(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway and function URLs take for an answer."""
    body = json.dumps(answer, allow_nan=False)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}
