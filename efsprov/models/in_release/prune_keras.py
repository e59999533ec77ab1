"""Magnitude pruning: the smallest weights of each layer become zero (Han et al., https://arxiv.org/abs/1506.02626)."""

from pathlib import Path
from typing import Any

import numpy as np

from efsprov.models.in_release import runners
from efsprov.models.in_release.problems import versions


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Set the share ``sparsity`` of each kernel to zero and save the model as ``out``/model.keras.

    Kernels are weights of two or more axes; biases and the scales of normalisation are left alone.
    """
    model = runners.load_keras(request["model"]["path"], request["model"])
    zeros = total = 0
    for layer in model.layers:
        pruned = []
        for weights in layer.get_weights():
            kept = prune(weights, request["sparsity"]) if weights.ndim >= 2 else weights
            pruned.append(kept)
            zeros += int(np.count_nonzero(kept == 0)) if weights.ndim >= 2 else 0
            total += weights.size if weights.ndim >= 2 else 0
        layer.set_weights(pruned)
    target = Path(request["out"], "model.keras")
    model.save(target)
    return {
        "format": "keras",
        "path": str(target),
        "sparsity": zeros / total if total else 0.0,
        "versions": versions("tensorflow", "keras", "numpy"),
    }


def prune(weights: Any, sparsity: float) -> Any:
    """Return ``weights`` with the share ``sparsity`` of its smallest values set to zero."""
    count = int(weights.size * sparsity)
    if count == 0:
        return weights
    smallest = np.argpartition(np.abs(weights), count - 1, axis=None)[:count]
    flat = weights.flatten()
    flat[smallest] = 0
    return flat.reshape(weights.shape)
