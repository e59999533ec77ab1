"""From a folder of files to what they are, by content first and by name second."""

import errno
import struct
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.models.formats.file_head import head
from efsprov.models.formats.graphs import unknown_ops_of_graph
from efsprov.models.formats.inspection import Format, Inspection, Risk, damaged
from efsprov.models.formats.keras import HDF5_SIGNATURE, check_hdf5, check_keras, h5_risk
from efsprov.models.formats.onnx import check_onnx
from efsprov.models.formats.packed import content_risks
from efsprov.models.formats.pickles import is_pickle, runs
from efsprov.models.formats.plain_data import is_plain_data
from efsprov.models.formats.safetensors import check_index, check_safetensors, looks_like_safetensors
from efsprov.models.formats.savedmodel import NAMES, check_savedmodel, is_part, ops_risk
from efsprov.models.formats.stand_ins import refuse_stand_in
from efsprov.models.formats.tflite import IDENTIFIER, check_tflite, flex_operations
from efsprov.models.formats.torch_files import inspect_torch, is_torch_archive
from efsprov.models.formats.zips import SIGNATURE, open_zip
from efsprov.pipeline.tools.file_bytes import file_bytes

_PICKLE_SUFFIXES: Final = (".pkl", ".pickle", ".joblib", ".dill")
_TORCH_SUFFIXES: Final = (".pt", ".pth")
_HDF5_SUFFIXES: Final = (".h5", ".hdf5")
_HEAD: Final = 1 << 16
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
    code when it is loaded is among the risks, whatever the others are, and so is every file that is not understood.
    """
    if not files:
        raise ModelError(f"{top} holds no files.", hint="Name the file or the folder of the model.")
    for file in files:
        refuse_stand_in(top / file, head(top / file, 512), (top / file).stat().st_size)
    saved = sorted({f.rpartition("/")[0] for f in files if f.rpartition("/")[2] in NAMES})
    found = [Inspection("savedmodel", folder, check_savedmodel(top / folder, folder)) for folder in saved]
    beside: set[str] = set()  # data files that an ONNX model names: what they are is said there
    rest = [file for file in files if not _is_part_of_saved(top / file, file, saved)]
    for file in sorted(rest, key=lambda file: not file.lower().endswith(".onnx")):
        inspected = _inspect_guarded(top, file, beside)
        if inspected is not None and not (inspected.format == "directory" and not inspected.risks):
            found.append(inspected)
    risks: tuple[Risk, ...] = tuple(sorted(risk for each in found for risk in each.risks))
    formats = {each.format for each in found}
    if len(formats) > 1 and formats - {"directory"} and not any(_is_model_name(e.entry) for e in _directories(found)):
        formats -= {"directory"}  # something beside the model that needs trust: it is that model all the same
        found = [each for each in found if each.format != "directory"]
    if len(formats) != 1 or formats == {"directory"}:
        return Inspection("directory", "", risks)
    (kind,) = formats
    return Inspection(kind, _entry(kind, found), risks)


def _directories(found: list[Inspection]) -> list[Inspection]:
    return [each for each in found if each.format == "directory"]


def _entry(kind: Format, found: list[Inspection]) -> str:
    """Return the one that is loaded: the only one, or the shortest path of several that belong together ('' for shards)."""
    if len(found) == 1:
        return found[0].entry
    return min((each.entry for each in found), key=lambda e: (e.count("/"), e)) if kind == "savedmodel" else ""


def _is_model_name(file: str) -> bool:
    return Path(file).suffix.lower() in {*_NAMED, *_PICKLE_SUFFIXES}


def _is_part_of_saved(path: Path, file: str, saved: Collection[str]) -> bool:
    """Tell whether a SavedModel's check has looked at a file: the graph, its variables, what Keras notes beside it."""
    inside = [f"{folder}/" if folder else "" for folder in saved]
    return any(file.startswith(folder) and is_part(path, file.removeprefix(folder)) for folder in inside)


def _inspect_guarded(top: Path, file: str, beside: set[str]) -> Inspection | None:
    """Do as ``_inspect_file``; what a file holds never ends in a traceback: no loader could read such a file either."""
    try:
        return _inspect_file(top, file, beside)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, struct.error) as error:
        why = f"its structure makes no sense ({type(error).__name__}: {str(error)[:100]})"
        raise damaged(top / file, why, what=_NAMED.get(Path(file).suffix.lower(), "model")) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # A place before the file's beginning, which its own tables name: zipfile seeks there (lseek(2), EINVAL).
        raise damaged(
            top / file, "it names places outside of itself", what=_NAMED.get(Path(file).suffix.lower(), "model")
        ) from error


def _inspect_file(top: Path, file: str, beside: set[str]) -> Inspection | None:
    """Return what one file is, None for one that is not a model and holds data only (a list of labels, a tokenizer)."""
    path, suffix = top / file, Path(file).suffix.lower()
    first = head(path, _HEAD)
    kind = _kind(path, first, suffix)
    if suffix in _NAMED and kind != _NAMED[suffix] and not (suffix in _TORCH_SUFFIXES and kind == "pickle"):
        raise damaged(path, f"its content is something else, or it is truncated{_shown(first)}", what=_NAMED[suffix])
    if kind not in {"pickle", "PyTorch file"} and (called := runs(first, text=True)):
        # Whatever else it is: a loader of pickles asks for no signature.
        return Inspection("directory", file, (Risk("pickle", file, f"is a pickle, too: loading it calls {called}"),))
    if kind == "ONNX model":
        folder = file.rpartition("/")[0]
        beside |= {f"{folder}/{name}" if folder else name for name in check_onnx(path)}
        return Inspection("onnx", file)
    return _INSPECT[kind](path, file) if kind else _inspect_other(path, file, first, known=file in beside)


def _inspect_other(path: Path, file: str, first: bytes, *, known: bool) -> Inspection | None:
    """Judge a file of no model's format: by what a loader would make of its content."""
    if known or is_plain_data(path, first):
        return None
    if path.suffix.lower() == ".pb":
        with file_bytes(path) as data:
            unknown = unknown_ops_of_graph(data)
        if unknown is not None:
            return Inspection("directory", file, (ops_risk(file, unknown),) if unknown else ())
    with path.open("rb") as content:
        risks = tuple(Risk(kind, file, why) for kind, why in content_risks(content, file))
    return Inspection("directory", file, risks) if risks else None


def _checked(kind: Format, check: Callable[[Path], object]) -> Callable[[Path, str], Inspection]:
    def inspect(path: Path, file: str) -> Inspection:
        check(path)
        return Inspection(kind, file)

    return inspect


def _inspect_tflite(path: Path, file: str) -> Inspection:
    check_tflite(path)
    unknown = flex_operations(path)
    return Inspection("tflite", file, (ops_risk(file, unknown),) if unknown else ())


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
    "TFLite model": _inspect_tflite,
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
        (suffix in _PICKLE_SUFFIXES or is_pickle(first), "pickle"),
        (looks_like_safetensors(first, path.stat().st_size), "safetensors file"),
        (path.name.endswith(".safetensors.index.json"), "safetensors index"),
    )
    return next((kind for fits, kind in by_content if fits), "")


def _kind_of_zip(path: Path, suffix: str) -> str:
    with open_zip(path, what=_NAMED.get(suffix, "zip archive")) as archive:
        names = archive.namelist()
    if suffix == ".keras" or {"config.json", "metadata.json", "model.weights.h5"} <= set(names):
        return "Keras model"
    return "PyTorch file" if is_torch_archive(names) else ""


def _shown(first: bytes) -> str:
    """Show how a text begins that should be a model: what it is, is in its first words most of the time."""
    beginning = first[:60]
    return (
        f" (it begins with {beginning.decode()!r})"
        if beginning and beginning.isascii() and b"\0" not in beginning
        else ""
    )
