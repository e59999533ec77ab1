"""Classifies images with a TFLite model from the file system, behind API Gateway or a function URL.

Handler: ``tflite_image.handler``. The function needs the file system, the layer with ``efsprov.bootstrap``, and
EFSPROV_ROOT (such as /mnt/efs), EFSPROV_CHANNEL (one that holds Pillow and ai-edge-litert, tflite-runtime or tensorflow)
and EFSPROV_MODEL (the model's name). A pixel of 0 to 255 becomes pixel * IMAGE_SCALE + IMAGE_OFFSET, 1/255 and 0 if they
are not set: give what the model was trained with. ``labels.txt`` in the model names its outputs, one a line.

The event's body is an image (base64, as API Gateway passes binary bodies on), or ``{"image": "BASE64"}``. It is resized to
the model's input. Answer: ``{"top": [{"index": 3, "label": "cat", "score": 0.97}], "scores": [...], "model": "net",
"release": "20261121T063000Z-3f2a9c1b"}``.
"""

import base64
import binascii
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import efsprov.bootstrap  # comes first: it makes the release importable

# isort: split
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ModuleNotFoundError:
        from tensorflow.lite import Interpreter

MODEL = os.environ["EFSPROV_MODEL"]
MAX_BODY = 6_291_456  # bytes; what Lambda takes at most in a request
MAX_PIXELS = 50_000_000  # a picture of that size takes 150 MB
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
TOP = 5
SCALE = float(os.environ.get("IMAGE_SCALE", "0.00392156862745098"))
OFFSET = float(os.environ.get("IMAGE_OFFSET", "0"))
THREADS = int(os.environ.get("THREADS", "1"))  # more only pay with more than 1,769 MB of memory: that is one vCPU
FOLDER = Path(efsprov.bootstrap.model(MODEL))  # pinned for the life of this environment
RELEASE = FOLDER.parent.name


class BadInputError(ValueError):
    """What the caller sent cannot be answered; ``status`` and ``code`` say how it is reported."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def load() -> Any:
    """The interpreter with its tensors allocated."""
    path = min(FOLDER.rglob("*.tflite"), default=None)
    if path is None:
        raise FileNotFoundError(f"Release {RELEASE} of model {MODEL} holds no .tflite file.")
    interpreter = Interpreter(model_path=str(path), num_threads=THREADS)
    interpreter.allocate_tensors()
    return interpreter


INTERPRETER = load()  # once an environment, in the init phase
INPUT, OUTPUT = INTERPRETER.get_input_details()[0], INTERPRETER.get_output_details()[0]
_, HEIGHT, WIDTH, CHANNELS = (int(size) for size in INPUT["shape"])
LABELS = (FOLDER / "labels.txt").read_text("utf-8").splitlines() if (FOLDER / "labels.txt").exists() else []


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an HTTP-shaped event."""
    try:
        return respond(200, classify(read_image(event)))
    except BadInputError as error:
        return respond(error.status, {"error": {"code": error.code, "message": str(error)}})
    except Exception:
        logging.getLogger().exception("the model could not answer")
        request = getattr(context, "aws_request_id", "")
        return respond(
            500, {"error": {"code": "internal", "message": f"The model could not answer. Request {request}."}}
        )


def predict(body: Any) -> dict[str, Any]:
    """Answer a decoded body ``{"image": "BASE64"}``; raises BadInputError."""
    if not isinstance(body, dict) or not isinstance(body.get("image"), str):
        raise BadInputError(400, "no-image", 'The body must be an image, or a JSON object with a base64 "image".')
    return classify(decode(body["image"]))


def classify(raw: bytes) -> dict[str, Any]:
    """Answer for an image file's bytes; raises BadInputError."""
    INTERPRETER.set_tensor(INPUT["index"], quantize(pixels(raw) * SCALE + OFFSET))
    INTERPRETER.invoke()
    scores = dequantize(INTERPRETER.get_tensor(OUTPUT["index"])[0]).reshape(-1).tolist()
    best = sorted(range(len(scores)), key=lambda index: -scores[index])[:TOP]
    top = [{"index": n, "label": LABELS[n] if n < len(LABELS) else None, "score": scores[n]} for n in best]
    return {"top": top, "scores": scores, "model": MODEL, "release": RELEASE}


def pixels(raw: bytes) -> Any:
    """The picture in the size and colours that the model takes, as float32 from 0 to 255."""
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadInputError(413, "too-many-pixels", f"The image has more than {MAX_PIXELS} pixels.")
            upright = ImageOps.exif_transpose(image).convert("L" if CHANNELS == 1 else "RGB")
    except UnidentifiedImageError:
        raise BadInputError(415, "not-an-image", f"The body is not an image ({', '.join(FORMATS)}).") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(422, "damaged-image", "The image is damaged or cut off.") from None
    resized = upright.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32).reshape(1, HEIGHT, WIDTH, CHANNELS)


def quantize(values: Any) -> Any:
    """Real numbers as the model's input has them."""
    kind, (scale, zero) = INPUT["dtype"], INPUT["quantization"]
    if not np.issubdtype(kind, np.integer):
        return values.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.round(values / scale + zero), limits.min, limits.max).astype(kind)


def dequantize(values: Any) -> Any:
    """The model's output as real numbers."""
    scale, zero = OUTPUT["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values


def read_image(event: Any) -> bytes:
    """The image file in an event; raises BadInputError."""
    body = event.get("body") if isinstance(event, dict) else None
    if not isinstance(body, str) or not body:
        raise BadInputError(400, "no-body", "The request has no body.")
    if len(body) > MAX_BODY:
        raise BadInputError(413, "too-large", f"The body is larger than {MAX_BODY} bytes.")
    raw = decode(body) if event.get("isBase64Encoded") else body.encode()
    if not raw.lstrip().startswith(b"{"):
        if event.get("isBase64Encoded"):
            return raw
        raise BadInputError(400, "not-json", "The body is not a JSON object and no base64-encoded image.")
    try:
        result = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInputError(400, "not-json", "The body is not JSON.") from None
    if not isinstance(result.get("image"), str):
        raise BadInputError(400, "no-image", 'The body must be an image, or a JSON object with a base64 "image".')
    return decode(result["image"])


def decode(text: str) -> bytes:
    """Base64, with or without a data URL's head; raises BadInputError."""
    try:
        return base64.b64decode(text.partition(";base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError(400, "not-base64", "The image is not base64.") from None


def respond(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway and function URLs take for an answer."""
    body = json.dumps(answer, allow_nan=False)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}
