"""Serves a TensorFlow SavedModel from the file system, behind API Gateway or a function URL.

Handler: ``tensorflow_savedmodel.handler``. The function needs the file system, the layer with ``efsprov.bootstrap``, and
EFSPROV_ROOT (such as /mnt/efs), EFSPROV_CHANNEL (such as tensorflow) and EFSPROV_MODEL (the model's name). SIGNATURE names
the signature to call, serving_default if it is not set.

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
import tensorflow as tf

MODEL = os.environ["EFSPROV_MODEL"]
MAX_BODY = 6_291_456  # bytes; what Lambda takes at most in a request
FOLDER = Path(efsprov.bootstrap.model(MODEL))  # pinned for the life of this environment
RELEASE = FOLDER.parent.name


class BadInputError(ValueError):
    """What the caller sent cannot be answered; ``status`` and ``code`` say how it is reported."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def load() -> tuple[Any, Any]:
    """The SavedModel, which has to be kept alive, and its signature."""
    graph = min(FOLDER.rglob("saved_model.pb"), key=lambda path: len(path.parts), default=None)
    if graph is None:
        raise FileNotFoundError(f"Release {RELEASE} of model {MODEL} holds no saved_model.pb.")
    loaded = tf.saved_model.load(str(graph.parent))
    return loaded, loaded.signatures[os.environ.get("SIGNATURE", "serving_default")]


LOADED, SERVE = load()  # once an environment, in the init phase
INPUTS: dict[str, Any] = SERVE.structured_input_signature[1]


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
    outputs = SERVE(**{name: to_tensor(name, given[name], spec) for name, spec in INPUTS.items()})
    answer = {name: tensor.numpy().tolist() for name, tensor in outputs.items()}
    return {"outputs": answer, "model": MODEL, "release": RELEASE}


def to_tensor(name: str, value: Any, spec: Any) -> Any:
    """A tensor that fits the signature."""
    try:
        tensor = tf.constant(value, dtype=spec.dtype)
    except (ValueError, TypeError):
        raise BadInputError(
            422, "values", f"{name} must be a list of equally long lists of {spec.dtype.name}."
        ) from None
    if not spec.shape.is_compatible_with(tensor.shape):
        raise BadInputError(422, "shape", f"{name} must be of shape {spec.shape}, this is {tensor.shape}.")
    return tensor


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
