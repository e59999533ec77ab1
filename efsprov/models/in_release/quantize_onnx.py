"""ONNX with smaller numbers, by onnxruntime's own tools."""

import shutil
from pathlib import Path
from typing import Any

from onnxruntime import quantization

from efsprov.models.in_release import runners, samples
from efsprov.models.in_release.problems import ProblemError, versions

CALIBRATION_SAMPLES = 500


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Quantise ``model`` into ``out``/model.onnx: weights only ("dynamic"), or activations too ("static")."""
    model, target = request["model"], Path(request["out"], "model.onnx")
    given = own_copy(Path(model["path"]), Path(request["out"]).with_name("given"))
    try:
        if request["quantize"] == "static":
            reader = Reader(request["representative"], runners.load("onnx", given, model).inputs)
            quantization.quantize_static(given, str(target), reader, per_channel=True)
        else:
            # Unsigned weights: onnxruntime has no ConvInteger for signed ones on a CPU (its documentation, "Quantize ONNX
            # models", Data type selection).
            kind = quantization.QuantType.QUInt8
            quantization.quantize_dynamic(given, str(target), weight_type=kind)
    except ProblemError:
        raise
    except Exception as error:  # whatever an operation's quantiser raises
        raise ProblemError(f"onnxruntime cannot quantise the model: {error}") from error
    return {"format": "onnx", "path": str(target), "versions": versions("onnxruntime", "onnx", "numpy")}


def own_copy(path: Path, folder: Path) -> str:
    """Copy a model, with what lies beside it, into a new ``folder``: onnxruntime writes what it infers beside the model."""
    shutil.copytree(path.parent, folder)
    return str(folder / path.name)


class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands samples to the calibration, one after another."""

    def __init__(self, path: str, inputs: samples.Inputs) -> None:
        given = samples.read_samples(path, inputs)
        self._samples = (samples.one(given, n) for n in range(min(samples.count(given), CALIBRATION_SAMPLES)))

    def get_next(self) -> Any:
        """Return the next sample; None at the end."""
        return next(self._samples, None)
