"""Serves a PyTorch model from the file system, behind API Gateway or a function URL: TorchScript, or safetensors.

Handler: ``pytorch_model.handler``. The function needs the file system, the layer with ``efsprov.bootstrap``, and
EFSPROV_ROOT (such as /mnt/efs), EFSPROV_CHANNEL (such as torch) and EFSPROV_MODEL (the model's name). Safetensors are
weights without a program: put a module with the architecture beside this file and name what makes it in MODEL_CLASS, such
as ``architecture:Net``; the channels must hold safetensors, too.

Body: ``{"inputs": [[1.0, 2.0]]}``, a list of samples; ``"dtype": "int64"`` for other numbers than float32.
Answer: ``{"outputs": [...], "model": "net", "release": "20261121T063000Z-3f2a9c1b"}``.
"""

import base64
import binascii
import importlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import efsprov.bootstrap  # comes first: it makes the release importable

# isort: split
import torch

MODEL = os.environ["EFSPROV_MODEL"]
MAX_BODY = 6_291_456  # bytes; what Lambda takes at most in a request
FOLDER = Path(efsprov.bootstrap.model(MODEL))  # pinned for the life of this environment
RELEASE = FOLDER.parent.name
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")


class BadInputError(ValueError):
    """What the caller sent cannot be answered; ``status`` and ``code`` say how it is reported."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def load() -> Any:
    """The module with its weights, ready to answer."""
    weights = sorted(FOLDER.rglob("*.safetensors"))
    if not weights:
        scripts = sorted([*FOLDER.rglob("*.pt"), *FOLDER.rglob("*.pth")])
        if not scripts:
            raise FileNotFoundError(f"Release {RELEASE} of model {MODEL} holds no .safetensors, .pt or .pth file.")
        return torch.jit.load(str(scripts[0]), map_location="cpu").eval()
    from safetensors.torch import load_file  # noqa: PLC0415 (only this format needs the package)

    module, _, name = os.environ["MODEL_CLASS"].partition(":")
    network = getattr(importlib.import_module(module), name)()
    network.load_state_dict({key: tensor for path in weights for key, tensor in load_file(path).items()})
    return network.eval()


NETWORK = load()  # once an environment, in the init phase


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
    inputs = to_tensor(body["inputs"], body.get("dtype", "float32"))
    with torch.inference_mode():
        try:
            outputs = NETWORK(inputs)
        except RuntimeError as error:  # PyTorch's error for a shape or type that a layer does not take
            logging.getLogger().warning("the model refused its inputs: %s", error)
            raise BadInputError(
                422, "shape", f"The model does not take {inputs.dtype} of shape {list(inputs.shape)}."
            ) from None
    return {"outputs": to_lists(outputs), "model": MODEL, "release": RELEASE}


def to_tensor(value: Any, dtype: Any) -> Any:
    """A tensor of nested lists."""
    if dtype not in DTYPES:
        raise BadInputError(422, "dtype", f'"dtype" must be one of {", ".join(DTYPES)}.')
    if not isinstance(value, list):
        raise BadInputError(422, "values", '"inputs" must be a list of samples.')
    try:
        return torch.tensor(value, dtype=getattr(torch, dtype))
    except (ValueError, TypeError, RuntimeError, OverflowError):
        raise BadInputError(422, "values", f'"inputs" must be equally long lists of {dtype} numbers.') from None


def to_lists(outputs: Any) -> Any:
    """What a module returned, as JSON has it."""
    if isinstance(outputs, torch.Tensor):
        return outputs.tolist()
    if isinstance(outputs, dict):
        return {str(name): to_lists(value) for name, value in outputs.items()}
    return [to_lists(value) for value in outputs]


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
