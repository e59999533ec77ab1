"""From a folder of files to what they are, by content first and by name second."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.models.formats.inspection import Format, Inspection, Risk, damaged
from efsprov.models.formats.keras import HDF5_SIGNATURE, check_hdf5, check_keras, h5_risk
from efsprov.models.formats.mapped import head
from efsprov.models.formats.onnx import check_onnx
from efsprov.models.formats.pickles import looks_like_pickle
from efsprov.models.formats.safetensors import check_index, check_safetensors, looks_like_safetensors
from efsprov.models.formats.savedmodel import NAMES, check_savedmodel
from efsprov.models.formats.tflite import IDENTIFIER, check_tflite
from efsprov.models.formats.torch_files import inspect_torch, is_torch_archive
from efsprov.models.formats.zips import SIGNATURE, open_zip

_PICKLE_SUFFIXES: Final = (".pkl", ".pickle", ".joblib", ".dill")
_TORCH_SUFFIXES: Final = (".pt", ".pth")
_HDF5_SUFFIXES: Final = (".h5", ".hdf5")
# What a file with this name has to be. A file of another name may be any of these as well, and is known by its content.
_NAMED: Final[dict[str, str]] = {
    ".tflite": "TFLite model",
    ".onnx": "ONNX model",
    ".keras": "Keras model",
    ".safetensors": "safetensors file",
    **dict.fromkeys(_HDF5_SUFFIXES, "HDF5 file"),
    **dict.fromkeys(_TORCH_SUFFIXES, "PyTorch file"),
}


def inspect_model(top: Path, files: Sequence[str]) -> Inspection:
    """Tell what the ``files`` (relative paths) below ``top`` are; raises ``ModelError`` where one is not sound.

    Where they are of several formats, or of none that is known, they are a plain directory. Every file that may run
    code when it is loaded is among the risks, whatever the others are.
    """
    if not files:
        raise ModelError(f"{top} holds no files.", hint="Name the file or the folder of the model.")
    saved = sorted({f.rpartition("/")[0] for f in files if f.rpartition("/")[2] in NAMES})
    found = [Inspection("savedmodel", folder, check_savedmodel(top / folder, folder)) for folder in saved]
    for file in files:
        if any(file.startswith(f"{folder}/" if folder else "") for folder in saved) and not _is_model_name(file):
            continue  # its graph and variables were looked at as a whole
        inspected = _inspect_file(top / file, file)
        if inspected is not None:
            found.append(inspected)
    risks: tuple[Risk, ...] = tuple(sorted(risk for each in found for risk in each.risks))
    formats = {each.format for each in found}
    if len(formats) != 1 or formats == {"directory"}:
        return Inspection("directory", "", risks)
    (kind,) = formats
    return Inspection(kind, _entry(kind, found), risks)


def _entry(kind: Format, found: list[Inspection]) -> str:
    """Return the one that is loaded: the only one, or the shortest path of several that belong together ('' for shards)."""
    if len(found) == 1:
        return found[0].entry
    return min((each.entry for each in found), key=lambda e: (e.count("/"), e)) if kind == "savedmodel" else ""


def _is_model_name(file: str) -> bool:
    return Path(file).suffix.lower() in {*_NAMED, *_PICKLE_SUFFIXES}


def _inspect_file(path: Path, file: str) -> Inspection | None:
    """Return what one file is, None for one that is no model (a list of labels, a tokenizer)."""
    suffix = path.suffix.lower()
    kind = _kind(path, head(path), suffix)
    if suffix in _NAMED and kind != _NAMED[suffix] and not (suffix in _TORCH_SUFFIXES and kind == "pickle"):
        raise damaged(path, "its content is something else, or it is truncated", what=_NAMED[suffix])
    return _INSPECT[kind](path, file) if kind else None


def _checked(kind: Format, check: Callable[[Path], object]) -> Callable[[Path, str], Inspection]:
    def inspect(path: Path, file: str) -> Inspection:
        check(path)
        return Inspection(kind, file)

    return inspect


def _inspect_keras(path: Path, file: str) -> Inspection:
    return Inspection("keras", file, check_keras(path, file))


def _inspect_hdf5(path: Path, file: str) -> Inspection:
    check_hdf5(path)
    return Inspection("h5", file, (h5_risk(file),))


def _inspect_pickle(path: Path, file: str) -> Inspection:
    torch = path.suffix.lower() in {*_TORCH_SUFFIXES, ".bin"}
    risk = Risk("pickle", file, "is a pickle: loading it runs whatever it says")
    return Inspection("torch-pickle" if torch else "directory", file, (risk,))


_INSPECT: Final[dict[str, Callable[[Path, str], Inspection]]] = {
    "TFLite model": _checked("tflite", check_tflite),
    "ONNX model": _checked("onnx", check_onnx),
    "safetensors file": _checked("safetensors", check_safetensors),
    "safetensors index": _checked("safetensors", check_index),
    "Keras model": _inspect_keras,
    "HDF5 file": _inspect_hdf5,
    "PyTorch file": inspect_torch,
    "pickle": _inspect_pickle,
}


def _kind(path: Path, first: bytes, suffix: str) -> str:
    """Return which of ``_INSPECT`` a file is, '' for none: by its first bytes, and by its name where it has no such."""
    if first.startswith(SIGNATURE):
        return _kind_of_zip(path, suffix)
    by_content = (
        (first[4:8] == IDENTIFIER, "TFLite model"),
        (first.startswith(HDF5_SIGNATURE), "HDF5 file"),
        (suffix in {".tflite", ".onnx", ".safetensors", *_HDF5_SUFFIXES}, _NAMED.get(suffix, "")),
        (suffix in _PICKLE_SUFFIXES or looks_like_pickle(first), "pickle"),
        (looks_like_safetensors(first, path.stat().st_size), "safetensors file"),
        (path.name.endswith(".safetensors.index.json"), "safetensors index"),
    )
    return next((kind for fits, kind in by_content if fits), "")


def _kind_of_zip(path: Path, suffix: str) -> str:
    with open_zip(path, what=_NAMED.get(suffix, "zip archive")) as archive:
        names = archive.namelist()
    if suffix == ".keras" or {"config.json", "metadata.json", "model.weights.h5"} <= set(names):
        return "Keras model"
    if is_torch_archive(names):
        return "PyTorch file"
    return "pickle" if any(name.endswith(_PICKLE_SUFFIXES) for name in names) else ""
