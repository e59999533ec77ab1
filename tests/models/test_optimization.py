from itertools import product

import pytest

from efsprov.core.errors import ModelError, UsageError
from efsprov.models.formats.inspection import FORMATS
from efsprov.models.optimization import QUANTIZE, TO, packages_for, plan_steps


def names(*arguments, calibrated=True):
    return [(step.do, step.quantize) for step in plan_steps(*arguments, calibrated=calibrated)]


@pytest.mark.parametrize(
    ("kind", "to", "quantize", "prune", "steps"),
    [
        ("savedmodel", "tflite", None, None, [("tflite", None)]),
        ("savedmodel", "tflite", "int8", None, [("tflite", "int8")]),
        ("keras", "tflite", "float16", 0.5, [("prune", None), ("tflite", "float16")]),
        ("h5", None, None, 0.3, [("prune", None)]),
        ("savedmodel", "onnx", None, None, [("onnx", None)]),
        ("torchscript", "onnx", "static", None, [("onnx", None), ("quantize-onnx", "static")]),
        ("onnx", None, "dynamic", None, [("quantize-onnx", "dynamic")]),
        ("onnx", "onnx", "static", None, [("quantize-onnx", "static")]),
    ],
)
def test_steps(kind, to, quantize, prune, steps):
    assert names(kind, to, quantize, prune) == steps


@pytest.mark.parametrize(("kind", "to", "quantize"), [("savedmodel", "tflite", "int8"), ("onnx", None, "static")])
def test_calibration_without_data_is_refused_with_the_reason(kind, to, quantize):
    with pytest.raises(UsageError, match="needs representative data: it fixes the range of every activation") as caught:
        plan_steps(kind, to, quantize, None, calibrated=False)
    assert "--representative" in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "error", "part"),
    [
        (("savedmodel", None, None, None), UsageError, "Nothing is named that the model should become"),
        (("onnx", None, None, None), UsageError, "is onnx already"),
        (("keras", "keras", None, None), UsageError, "is keras already"),
        (("safetensors", "onnx", None, None), ModelError, "holds weights, but not the program"),
        (("torch-state", "tflite", None, None), ModelError, "holds weights, but not the program"),
        (("torch-pickle", "onnx", None, None), ModelError, "whose code is not in it"),
        (("tflite", "onnx", None, None), ModelError, "the end of its road"),
        (("torchscript", "tflite", None, None), ModelError, "cannot become tflite"),
        (("savedmodel", "tflite", "static", None), UsageError, "no --quantize static for tflite"),
        (("savedmodel", "onnx", "int8", None), UsageError, "no --quantize int8 for onnx"),
        (("keras", None, "int8", None), UsageError, "no --quantize int8 for keras"),
        (("savedmodel", "tflite", None, 0.5), ModelError, "cannot be pruned here"),
        (("keras", None, None, 1.5), UsageError, "is not a share of the weights"),
    ],
)
def test_what_cannot_be_done(arguments, error, part):
    with pytest.raises(error, match=part) as caught:
        plan_steps(*arguments, calibrated=True)
    assert caught.value.hint


def test_every_request_has_steps_or_a_reason():
    for kind, to, quantize, prune in product(FORMATS, [None, *TO], [None, *QUANTIZE], [None, 0.5]):
        try:
            steps = plan_steps(kind, to, quantize, prune, calibrated=True)
        except (UsageError, ModelError) as error:
            assert error.message.endswith(".")  # noqa: PT017 (steps are right as well)
            assert error.hint  # noqa: PT017
        else:
            assert steps
            assert {step.quantize for step in steps} <= {None, quantize}
            assert (quantize is None) or quantize in {step.quantize for step in steps}
            assert any(step.do == "prune" for step in steps) is (prune is not None)


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        (("keras", "tflite", "int8", 0.5), ("tensorflow",)),
        (("savedmodel", "onnx", "static", None), ("tensorflow", "tf2onnx", "onnx", "onnxruntime")),
        (("torchscript", "onnx", None, None), ("torch", "onnx")),
        (("onnx", None, "dynamic", None), ("onnxruntime", "onnx")),
    ],
)
def test_packages_that_it_takes(arguments, packages):
    assert packages_for(arguments[0], plan_steps(*arguments, calibrated=True)) == packages
