"""TensorFlow SavedModel: a folder with a protocol buffer of graphs, and variables beside it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.models.formats.graphs import (
    code_of_keras_metadata,
    code_of_saved_model,
    unknown_ops_of_saved_model,
)
from efsprov.models.formats.inspection import Risk, damaged
from efsprov.models.formats.protobuf import WireError, fields
from efsprov.pipeline.tools.file_bytes import file_bytes

_BINARY: Final = "saved_model.pb"
_UNREAD: Final = {
    "saved_model.pbtxt": "is in text form, whose operations efsprov does not read",
    "saved_model.cpb": "is in pieces (a chunked protocol buffer), whose operations efsprov does not read",
}
NAMES: Final = (_BINARY, *_UNREAD)
_KERAS_METADATA, _FINGERPRINT = "keras_metadata.pb", "fingerprint.pb"
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_WHAT: Final = "SavedModel"


def check_savedmodel(folder: Path, name: str) -> tuple[Risk, ...]:
    """Check a SavedModel and return what in it is more than TensorFlow's own computations; raises ``ModelError``.

    ``name`` is the folder's path in the model, '' for the model itself. All forms of the graph that are there count:
    which one TensorFlow takes depends on its version.
    """
    _check_variables(folder)
    return tuple(sorted({*_graph_risks(folder, name), *_metadata_risks(folder, name)}))


def is_part(path: Path, file: str) -> bool:
    """Tell whether ``file`` (a path in a SavedModel's folder) is a part of it that `check_savedmodel` has looked at.

    What lies in assets and beside is judged as files are.
    """
    if file in {*NAMES, _KERAS_METADATA}:
        return True
    if file == _FINGERPRINT:
        return _is_message(path)
    return file == "variables/variables.index" or bool(_SHARD.fullmatch(file.removeprefix("variables/")))


def ops_risk(place: str, unknown: set[str]) -> Risk:
    """Return the risk that a graph has which uses operations that are not known only to compute."""
    names = sorted(unknown)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    plural = "s" if len(names) > 1 else ""
    why = f"uses the operation{plural} {', '.join(names[:4])}{more}, which may do more than compute"
    return Risk("savedmodel-ops", place, why)


def _graph_risks(folder: Path, name: str) -> Iterator[Risk]:
    for form, why in _UNREAD.items():
        if (folder / form).is_file():
            yield Risk("savedmodel-ops", _place(name, form), why)
    if not (folder / _BINARY).is_file():
        return
    with file_bytes(folder / _BINARY) as data:
        try:
            unknown = unknown_ops_of_saved_model(data)
            whys = set(code_of_saved_model(data))
        except WireError as error:
            raise damaged(folder / _BINARY, str(error), what=_WHAT) from error
    yield from (Risk("keras-code", _place(name, _BINARY), why) for why in whys)
    if unknown:
        yield ops_risk(_place(name, _BINARY), unknown)


def _metadata_risks(folder: Path, name: str) -> Iterator[Risk]:
    """What Keras makes of the model when it loads it: a Lambda layer's code lies in there, not in the graph."""
    path = folder / _KERAS_METADATA
    if not path.is_file():
        return
    with file_bytes(path) as data:
        try:
            whys = set(code_of_keras_metadata(data))
        except WireError as error:
            raise damaged(path, str(error), what=_WHAT) from error
    yield from (Risk("keras-code", _place(name, _KERAS_METADATA), why) for why in whys)


def _place(name: str, file: str) -> str:
    return f"{name}/{file}" if name else file


def _is_message(path: Path) -> bool:
    with file_bytes(path) as data:
        try:
            return len(list(fields(data, 0, len(data)))) < 100
        except WireError:
            return False


def _check_variables(folder: Path) -> None:
    variables = folder / "variables"
    names = {entry.name for entry in variables.iterdir()} if variables.is_dir() else set()
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    wanted = max((int(match[2]) for match in shards), default=0)
    if "variables.index" in names:
        wanted = max(wanted, 1)
    elif shards:
        raise _missing(variables, "variables.index")
    for number in range(wanted):
        if (name := f"variables.data-{number:05}-of-{wanted:05}") not in names:
            raise _missing(variables, name)


def _missing(variables: Path, name: str) -> ModelError:
    return ModelError(
        f"{variables} lacks {name}: the SavedModel is not whole.",
        hint="Nothing was published. Push the folder that `model.export` or `tf.saved_model.save` wrote, with all in it.",
    )
