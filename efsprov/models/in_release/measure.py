"""Runs two models on the same samples: how long each takes, and how far their outputs are apart."""

import time
from typing import Any

import numpy as np

from efsprov.models.in_release import runners, samples
from efsprov.models.in_release.problems import ProblemError, versions
from efsprov.models.in_release.to_onnx import read_any

TIMED = 100  # samples whose answers are timed
WARM_UP = 5


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Measure ``before`` and ``after``; a model that this release cannot run is left out with the reason."""
    before, why_before = load(request["before"])
    after, why_after = load(request["after"])
    if before is None or after is None:
        return {"left_out": why_before or why_after}
    runner, load_before = before
    other, load_after = after
    try:
        given = read(request, runner, other)
        shown = {"before": clock(runner, given, load_before), "after": clock(other, rename(given, other), load_after)}
        return {
            **shown,
            **compare(runner, other, given),
            "versions": versions("numpy", "tensorflow", "torch", "onnxruntime"),
        }
    except ProblemError as error:
        return {"left_out": str(error)}


def load(model: dict[str, Any]) -> tuple[Any, str]:
    """Return (runner, seconds that loading took) and '', or None and why not."""
    try:
        # What is imported first is paid for by whoever comes first: load twice, count the second.
        runners.load(model["format"], model["path"], model)
        began = time.perf_counter()
        runner = runners.load(model["format"], model["path"], model)
        return (runner, time.perf_counter() - began), ""
    except ModuleNotFoundError as error:
        return None, f"the release has no {error.name} to run {model['format']} with"
    except ProblemError as error:
        return None, str(error)


def read(request: dict[str, Any], runner: Any, other: Any) -> dict[str, Any]:
    """The samples, by the names that the first model has for its inputs."""
    if not request.get("samples"):
        return samples.random_samples(runner.inputs or other.inputs)
    if not runner.inputs:
        runner.use_samples(read_any(request["samples"]))
    return samples.read_samples(request["samples"], runner.inputs)


def rename(given: dict[str, Any], other: Any) -> dict[str, Any]:
    """The same samples by the names that the other model has for its inputs: by name, else by their order."""
    names = list(other.inputs)
    if set(names) == set(given):
        return given
    if len(names) != len(given):
        raise ProblemError(f"the models have other inputs: {', '.join(given)} and {', '.join(names)}")
    arrays = list(given.values())
    return {name: arrays[number].astype(other.inputs[name][1], copy=False) for number, name in enumerate(names)}


def clock(runner: Any, given: dict[str, Any], load_seconds: float) -> dict[str, float]:
    """Times of single answers, in milliseconds."""
    total = samples.count(given)
    for index in range(min(WARM_UP, total)):
        runner(samples.one(given, index))
    taken = []
    for index in range(TIMED):
        sample = samples.one(given, index % total)
        began = time.perf_counter()
        runner(sample)
        taken.append((time.perf_counter() - began) * 1000)
    return {
        "load_ms": round(load_seconds * 1000, 3),
        "latency_ms": round(float(np.median(taken)), 4),
        "latency_p90_ms": round(float(np.percentile(taken, 90)), 4),
    }


def compare(runner: Any, other: Any, given: dict[str, Any]) -> dict[str, Any]:
    """How far the outputs of both are apart, over all samples."""
    theirs = rename(given, other)
    errors, scales, worst, agreed, classes = [], [], 0.0, 0, True
    total = samples.count(given)
    for index in range(total):
        pairs = matched(runner(samples.one(given, index)), other(samples.one(theirs, index)))
        for a, b in pairs:
            difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
            errors.append(float(difference.mean()))
            scales.append(float(np.abs(a).mean()))
            worst = max(worst, float(difference.max()))
        a, b = pairs[0]
        classes = classes and len(pairs) == 1 and a.ndim == 2 and a.shape[1] >= 2
        agreed += int(classes and int(a.argmax()) == int(b.argmax()))
    return {
        "comparison": {
            "samples": total,
            "max_error": worst,
            "mean_error": float(np.mean(errors)),
            "scale": float(np.mean(scales)),
            "top1_agreement": agreed / total if classes else None,
        }
    }


def matched(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Pairs of outputs: by name, else by their order; their shapes must be the same."""
    names = list(first)
    others = names if set(names) == set(second) else list(second)
    pairs = (
        [(first[name], second[others[number]]) for number, name in enumerate(names)]
        if len(names) == len(others)
        else []
    )
    if not pairs or any(a.shape != b.shape for a, b in pairs):
        shapes = [[list(array.shape) for array in outputs.values()] for outputs in (first, second)]
        raise ProblemError(f"the models have other outputs: {shapes[0]} and {shapes[1]}")
    return pairs
