"""SavedModel or Keras to TFLite, as it is or with smaller numbers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from efsprov.models.in_release import runners, samples
from efsprov.models.in_release.problems import ProblemError, versions

CALIBRATION_SAMPLES = 500


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Convert ``model`` into ``out``/model.tflite."""
    model, quantize = request["model"], request.get("quantize")
    runner = runners.load(model["format"], model["path"], model)
    if model["format"] == "savedmodel":
        name = model.get("signature") or "serving_default"
        converter = tf.lite.TFLiteConverter.from_saved_model(model["path"], signature_keys=[name])
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(runner.model)
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = calibration(request["representative"], runner.inputs)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content = converter.convert()
    except Exception as error:  # the converter raises what MLIR and each layer raise
        raise ProblemError(f"TensorFlow cannot convert the model: {_last_line(error)}") from error
    target = Path(request["out"], "model.tflite")
    target.write_bytes(content)
    return {"format": "tflite", "path": str(target), "versions": versions("tensorflow", "keras", "numpy")}


def calibration(path: str, inputs: samples.Inputs) -> Callable[[], Iterator[Any]]:
    """What the converter calls for samples, one after another."""
    given = samples.read_samples(path, inputs)
    names = list(inputs)

    def dataset() -> Iterator[Any]:
        for index in range(min(samples.count(given), CALIBRATION_SAMPLES)):
            sample = samples.one(given, index)
            yield sample if len(names) > 1 else [sample[names[0]]]

    return dataset


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:400]
