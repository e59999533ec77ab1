"""SavedModel, Keras or TorchScript to ONNX."""

from pathlib import Path
from typing import Any

import numpy as np

from efsprov.models.in_release import runners, samples
from efsprov.models.in_release.problems import ProblemError, versions

OPSET = 17  # the newest that PyTorch's exporter of TorchScript writes


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Convert ``model`` into ``out``/model.onnx."""
    target = Path(request["out"], "model.onnx")
    model = request["model"]
    runner = runners.load(model["format"], model["path"], model)
    if model["format"] == "torchscript":
        from_torch(runner, request, target)
    else:
        from_tensorflow(runner, model, target)
    used = versions("tensorflow", "tf2onnx", "torch", "onnx", "numpy")
    return {"format": "onnx", "path": str(target), "versions": used}


def from_tensorflow(runner: Any, model: dict[str, Any], target: Path) -> None:
    """Convert through tf2onnx."""
    import tensorflow as tf
    import tf2onnx

    if model["format"] == "savedmodel":
        names = list(runner.inputs)
        signature = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in runner.specs.items()]

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def serve(*values: Any) -> Any:
            return runner.serve(**{name: values[number] for number, name in enumerate(names)})

        convert = tf2onnx.convert.from_function
        given = serve
    else:
        kinds = runner.inputs.items()
        signature = [tf.TensorSpec(shape, dtype, name=name) for name, (shape, dtype) in kinds]
        convert = tf2onnx.convert.from_keras
        given = runner.model
    try:
        convert(given, input_signature=signature, opset=OPSET, output_path=str(target))
    except Exception as error:  # whatever an operation's converter raises
        raise ProblemError(f"tf2onnx cannot convert the model: {error}") from error


def from_torch(runner: Any, request: dict[str, Any], target: Path) -> None:
    """Export through PyTorch, with one sample as the example of what goes in."""
    import onnx  # noqa: F401 (the exporter needs it, and says so late)
    import torch

    example = torch_example(runner, request)
    names = list(example)
    outputs = list(runner(example))
    try:
        torch.onnx.export(
            runner.module,
            tuple(torch.from_numpy(array.copy()) for array in example.values()),
            str(target),
            dynamo=False,  # the other exporter takes no TorchScript
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in [*names, *outputs]},
        )
    except Exception as error:  # whatever an operation's exporter raises
        raise ProblemError(f"PyTorch cannot export the model: {error}") from error


def torch_example(runner: Any, request: dict[str, Any]) -> dict[str, Any]:
    """One sample of the representative data, or a made-up one of the shape that was given."""
    if request.get("representative"):
        given = read_any(request["representative"])
        runner.use_samples(given)
        return samples.one(given, 0)
    if not runner.inputs:
        raise ProblemError("TorchScript does not say what goes in: give --representative data or --input-shape")
    return samples.one(samples.random_samples(runner.inputs), 0)


def read_any(path: str) -> dict[str, Any]:
    """Samples for a model whose inputs are not known: what the file has, in its order."""
    try:
        loaded = np.load(path, allow_pickle=False)
        return {"input": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError) as error:
        raise ProblemError(f"{path} cannot be read: {error}") from error
