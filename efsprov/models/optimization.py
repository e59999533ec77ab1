"""What an optimisation has to do, step by step, as data; and what cannot be done, with the reason."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from efsprov.core.errors import ModelError, UsageError
from efsprov.models.formats.inspection import Format

To = Literal["tflite", "onnx", "keras"]
Quantize = Literal["dynamic", "float16", "int8", "static"]
Do = Literal["prune", "tflite", "onnx", "quantize-onnx"]
TO: Final[tuple[To, ...]] = get_args(To)
QUANTIZE: Final[tuple[Quantize, ...]] = get_args(Quantize)

_KERAS: Final = frozenset({"keras", "h5"})
_CALIBRATED: Final = frozenset({"int8", "static"})
_QUANTIZE_OF: Final[dict[To, frozenset[Quantize]]] = {
    "tflite": frozenset({"dynamic", "float16", "int8"}),
    "onnx": frozenset({"dynamic", "static"}),
    "keras": frozenset(),
}
_SOURCES: Final[dict[To, frozenset[Format]]] = {
    "tflite": frozenset({"savedmodel", "keras", "h5"}),
    "onnx": frozenset({"savedmodel", "keras", "h5", "torchscript", "onnx"}),
    "keras": frozenset({"keras", "h5"}),
}


_PACKAGES: Final[dict[Do, tuple[str, ...]]] = {
    "prune": ("tensorflow",),
    "tflite": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnx"),
    "quantize-onnx": ("onnxruntime", "onnx"),
}
_PACKAGES_FOR_TORCHSCRIPT: Final = ("torch", "onnx")


@dataclass(frozen=True)
class Step:
    """One thing to do in a release. ``text`` says it in the manifest's lineage."""

    do: Do
    text: str
    quantize: Quantize | None = None
    sparsity: float | None = None


def plan_steps(
    kind: Format, to: To | None, quantize: Quantize | None, prune: float | None, *, calibrated: bool
) -> tuple[Step, ...]:
    """Return the steps from a model of format ``kind`` to one of ``to``; ``calibrated``: representative data is given.

    Raises ``UsageError`` or ``ModelError`` for what cannot be done.
    """
    to = to or _own_target(kind)
    _refuse(kind, to, quantize, prune, calibrated=calibrated)
    steps = []
    if prune is not None:
        steps.append(Step("prune", f"prune {prune:.0%} of the weights", sparsity=prune))
    if to == "tflite":
        steps.append(Step("tflite", f"tflite {quantize}" if quantize else "tflite", quantize))
    if to == "onnx" and kind != "onnx":
        steps.append(Step("onnx", "onnx"))
    if to == "onnx" and quantize:
        steps.append(Step("quantize-onnx", f"onnx {quantize}", quantize))
    if not steps:
        raise UsageError(
            f"The model is {kind} already, and nothing else is asked for.",
            hint="Name what is to be done: --to tflite, --to onnx, --quantize, --prune.",
        )
    return tuple(steps)


def packages_for(kind: Format, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the packages that the steps take from a model of format ``kind`` on, each once."""
    wanted: list[str] = []
    for step in steps:
        wanted += _PACKAGES_FOR_TORCHSCRIPT if (kind, step.do) == ("torchscript", "onnx") else _PACKAGES[step.do]
    return tuple(dict.fromkeys(wanted))


def _own_target(kind: Format) -> To:
    if kind == "onnx":
        return "onnx"
    if kind in _KERAS:
        return "keras"
    raise UsageError("Nothing is named that the model should become.", hint="--to tflite or --to onnx.")


def _refuse(kind: Format, to: To, quantize: Quantize | None, prune: float | None, *, calibrated: bool) -> None:
    if kind not in _SOURCES[to]:
        raise ModelError(f"A model of the format {kind} cannot become {to}: {_why_not(kind)}.", hint=_instead(kind, to))
    if quantize is not None and quantize not in _QUANTIZE_OF[to]:
        kinds = ", ".join(sorted(_QUANTIZE_OF[to]))
        raise UsageError(
            f"There is no --quantize {quantize} for {to}.",
            hint=f"For {to} there is: {kinds}." if kinds else "Name --to tflite or --to onnx as well.",
        )
    if quantize in _CALIBRATED and not calibrated:
        raise UsageError(
            f"--quantize {quantize} needs representative data: it fixes the range of every activation beforehand, and "
            "without samples those ranges would be guessed, and the model would answer nonsense.",
            hint="Give some hundred typical inputs with --representative FILE.npy (or .npz with one array for each "
            "input), or take --quantize dynamic, which needs none.",
        )
    if prune is not None and kind not in _KERAS:
        raise ModelError(
            f"A model of the format {kind} cannot be pruned here.",
            hint="Prune the Keras model (.keras or .h5) it came from.",
        )
    if prune is not None and not 0 < prune < 1:
        raise UsageError(f"--prune {prune:g} is not a share of the weights.", hint="For example: --prune 0.5")


def _why_not(kind: Format) -> str:
    if kind in {"safetensors", "torch-state"}:
        return "it holds weights, but not the program that they belong to"
    if kind == "torch-pickle":
        return "it is a pickle of a class whose code is not in it"
    if kind == "tflite":
        return "TFLite is the end of its road, no tool reads it back"
    if kind == "directory":
        return "it is of no single format"
    return "there is no tool for it"


def _instead(kind: Format, to: To) -> str:
    if kind in {"safetensors", "torch-state", "torch-pickle"}:
        return "Export the network with torch.jit.script or torch.jit.trace, push that, and optimise it."
    if kind == "tflite":
        return "Push and optimise the SavedModel or Keras model that it was made from."
    return f"{to} can be made from: {', '.join(sorted(_SOURCES[to]))}."
