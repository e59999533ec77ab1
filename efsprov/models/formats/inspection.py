"""What is known of a model's files after looking at them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from efsprov.core.errors import ModelError

Format = Literal[
    "savedmodel",
    "keras",
    "h5",
    "tflite",
    "onnx",
    "torchscript",
    "torch-pickle",
    "torch-state",
    "safetensors",
    "directory",
]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""``torch-state`` holds tensors only (`torch.load(weights_only=True)` takes it), ``torch-pickle`` any object."""

RiskKind = Literal["pickle", "torchscript", "h5", "keras-code", "savedmodel-ops", "code", "unknown"]
RISKS: Final[tuple[RiskKind, ...]] = get_args(RiskKind)
"""``code`` is source or native code and what names it in a configuration, ``unknown`` what efsprov does not understand."""


@dataclass(frozen=True, order=True)
class Risk:
    """A reason why loading ``path`` may run code that it carries; ``why`` completes 'PATH ...'."""

    kind: RiskKind
    path: str
    why: str


@dataclass(frozen=True)
class Inspection:
    """``entry`` is what a framework is told to load, relative to the model's folder ('' the folder itself)."""

    format: Format
    entry: str = ""
    risks: tuple[Risk, ...] = ()


def damaged(path: Path | str, why: str, *, what: str) -> ModelError:
    """Say that ``path`` is not the sound ``what`` that it looks like; ``why`` completes 'PATH: ...'."""
    return ModelError(
        f"{path} is not a sound {what}: {why}.",
        hint="Nothing was published. Was the file written and transferred whole? Export it again and compare its size.",
    )
