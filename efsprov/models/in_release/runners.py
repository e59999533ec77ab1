"""Runs a model of any format: what inputs it has, and what it answers to a batch of one sample."""

from typing import Any

import numpy as np

from efsprov.models.in_release.problems import ProblemError
from efsprov.models.in_release.samples import Inputs


def load(kind: str, path: str, options: dict[str, Any]) -> Any:
    """Load the model at ``path`` that is of the format ``kind``."""
    runners: dict[str, Any] = {
        "savedmodel": SavedModel,
        "keras": Keras,
        "h5": Keras,
        "tflite": TFLite,
        "onnx": Onnx,
        "torchscript": TorchScript,
    }
    if kind not in runners:
        raise ProblemError(f"a model of the format {kind} is not a program that could be run")
    return runners[kind](path, options)


class SavedModel:
    """``inputs`` is {name: (shape, dtype)}, as in all of these; answers are {output's name: array}."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        import tensorflow as tf

        self._tf = tf
        self._loaded = tf.saved_model.load(path)
        signatures = self._loaded.signatures
        name = options.get("signature") or "serving_default"
        if name not in signatures:
            raise ProblemError(f"the SavedModel has no signature {name}; it has {', '.join(signatures) or 'none'}")
        self.serve = signatures[name]
        self.specs = self.serve.structured_input_signature[1]
        self.inputs: Inputs = {key: (list(spec.shape), spec.dtype.as_numpy_dtype) for key, spec in self.specs.items()}

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of one sample."""
        outputs = self.serve(**{name: self._tf.constant(sample[name]) for name in self.inputs})
        return {name: np.asarray(value) for name, value in outputs.items()}


class Keras:
    """A `.keras` or `.h5` model."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self.model = load_keras(path, options)
        self.inputs: Inputs = {
            each.name.split(":")[0]: ([None, *each.shape[1:]], _numpy_type(each.dtype)) for each in self.model.inputs
        }

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of one sample."""
        given = [sample[name] for name in self.inputs]
        outputs = self.model(given if len(given) > 1 else given[0], training=False)
        if isinstance(outputs, dict):
            return {name: np.asarray(value) for name, value in outputs.items()}
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return {f"output_{number}": np.asarray(value) for number, value in enumerate(outputs)}


def load_keras(path: str, options: dict[str, Any]) -> Any:
    """Load a Keras model; code in it is run only if it is trusted."""
    import tensorflow as tf

    safe = {} if options["format"] == "h5" else {"safe_mode": not options.get("trusted")}
    try:
        return tf.keras.models.load_model(path, compile=False, **safe)
    except (ValueError, TypeError) as error:
        raise ProblemError(f"Keras cannot load the model: {error}") from error


def _numpy_type(dtype: Any) -> Any:
    return np.dtype(getattr(dtype, "name", dtype))


class TFLite:
    """A TFLite model; real numbers go in and come out, whatever it computes with."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        del options
        try:
            from tensorflow.lite.python.interpreter import Interpreter
        except ModuleNotFoundError:
            try:
                from ai_edge_litert.interpreter import Interpreter
            except ModuleNotFoundError:
                from tflite_runtime.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=path, num_threads=1)
        self._interpreter.allocate_tensors()
        signatures = self._interpreter.get_signature_list()
        names = {}
        if len(signatures) == 1:
            runner = self._interpreter.get_signature_runner()
            names = {detail["index"]: name for name, detail in runner.get_input_details().items()}
            names.update({detail["index"]: name for name, detail in runner.get_output_details().items()})
        self._ins = {names.get(d["index"], d["name"]): d for d in self._interpreter.get_input_details()}
        self._outs = {names.get(d["index"], d["name"]): d for d in self._interpreter.get_output_details()}
        self.inputs: Inputs = {name: (_open_shape(d), _real(d)) for name, d in self._ins.items()}

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of one sample."""
        for name, detail in self._ins.items():
            values = sample[name]
            if list(values.shape) != list(detail["shape"]):
                self._interpreter.resize_tensor_input(detail["index"], values.shape)
                self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(detail["index"], _quantized(values, detail))
        self._interpreter.invoke()
        return {n: _dequantized(self._interpreter.get_tensor(d["index"]), d) for n, d in self._outs.items()}


def _open_shape(detail: dict[str, Any]) -> list[Any]:
    signature = detail.get("shape_signature", detail["shape"])
    return [None if int(size) < 0 else int(size) for size in signature]


def _real(detail: dict[str, Any]) -> Any:
    return np.dtype(np.float32) if detail["quantization"][0] else np.dtype(detail["dtype"])


def _quantized(values: Any, detail: dict[str, Any]) -> Any:
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"], copy=False)
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale + zero), limits.min, limits.max).astype(detail["dtype"])


def _dequantized(values: Any, detail: dict[str, Any]) -> Any:
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values


TYPES = {"float": "float32", "double": "float64"}


class Onnx:
    """An ONNX model on onnxruntime's CPU provider."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        del options
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        self.inputs: Inputs = {}
        for each in self._session.get_inputs():
            kind = each.type[len("tensor(") : -1]
            shape = [size if isinstance(size, int) else None for size in each.shape]
            self.inputs[each.name] = (shape, np.dtype(TYPES.get(kind, kind)))
        self._outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of one sample."""
        answers = self._session.run(self._outputs, {name: sample[name] for name in self.inputs})
        return {name: np.asarray(answers[number]) for number, name in enumerate(self._outputs)}


class TorchScript:
    """A TorchScript module; its inputs are known from the samples only."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        import torch

        self._torch = torch
        self.module = torch.jit.load(path, map_location="cpu").eval()
        shape = options.get("input_shape")
        self.inputs: Inputs = {"input": ([None, *shape[1:]], np.dtype("float32"))} if shape else {}

    def use_samples(self, samples: dict[str, Any]) -> None:
        """Take the inputs from samples: names in their order, all of them."""
        self.inputs = {name: ([None, *array.shape[1:]], array.dtype) for name, array in samples.items()}

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch of one sample."""
        with self._torch.inference_mode():
            outputs = self.module(*(self._torch.from_numpy(np.ascontiguousarray(v)) for v in sample.values()))
        if isinstance(outputs, dict):
            return {name: value.numpy() for name, value in outputs.items()}
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return {f"output_{number}": value.numpy() for number, value in enumerate(outputs)}
