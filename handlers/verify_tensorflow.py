"""Shows that a function can use the TensorFlow release on its file system: TensorFlow computes a determinant.

Handler: ``verify_tensorflow.handler``. The function needs the file system, the layer with ``efsprov.bootstrap``, and the
variables EFSPROV_ROOT (where the root is mounted, such as /mnt/efs) and EFSPROV_CHANNEL (such as tensorflow).

Event: ``{"matrix": [[1, 2], [3, 4]]}``, which is also what ``{}`` stands for. Answer::

    {"framework": "tensorflow", "version": "2.15.0", "python": "3.11.9", "determinant": -2.0,
     "releases": {"tensorflow": "20261121T063000Z-3f2a9c1b"}}
"""

import math
import platform
import sys
from typing import Any

import efsprov.bootstrap  # comes first: it makes the release importable

# isort: split
import tensorflow as tf

MAX_ROWS = 64


def handler(event: Any, context: object) -> dict[str, Any]:
    """Answer with the determinant, and with what computed it; ValueError for an event that holds no square matrix."""
    determinant = float(tf.linalg.det(tf.constant(square_matrix(event), dtype=tf.float64)))
    if not math.isfinite(determinant):
        raise ValueError("the determinant is too large for a 64-bit float")
    return {
        "framework": "tensorflow",
        "version": tf.__version__,
        "python": platform.python_version(),
        "determinant": determinant,
        "releases": {channel: release.id for channel, release in efsprov.bootstrap.releases.items()},
    }


def square_matrix(event: Any) -> list[list[float]]:
    """The event's matrix; ValueError says what is wrong with it."""
    if not isinstance(event, dict):
        raise ValueError('the event must be a JSON object such as {"matrix": [[1, 2], [3, 4]]}')  # noqa: TRY004
    rows = event.get("matrix", [[1, 2], [3, 4]])
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        raise ValueError(f'"matrix" must be a list of 1 to {MAX_ROWS} rows')
    if any(not isinstance(row, list) or len(row) != len(rows) for row in rows):
        raise ValueError(f'"matrix" has {len(rows)} rows, so each of them must be a list of {len(rows)} numbers')
    if not all(is_number(value) for row in rows for value in row):
        raise ValueError('"matrix" may hold only finite numbers')
    return [[float(value) for value in row] for row in rows]


def is_number(value: Any) -> bool:
    """Whether a 64-bit float can hold it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
