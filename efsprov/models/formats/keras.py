"""Keras: the `.keras` archive, and HDF5 files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from efsprov.models.formats.inspection import Risk, damaged
from efsprov.models.formats.mapped import head
from efsprov.models.formats.zips import open_zip, read_member

HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_OWN_MODULES: Final = ("keras", "tensorflow.keras", "tf_keras", "keras_core", "keras_nlp", "keras_cv", "keras_hub")
_LARGEST_CONFIG: Final = 1 << 28
# What runs code or pickles although it is Keras's own.
_RUNNING_CODE: Final = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer"})
_WHAT: Final = "Keras model"


def check_keras(path: Path, name: str) -> tuple[Risk, ...]:
    """Check a `.keras` archive and return what in it runs code when it is loaded; raises ``ModelError``."""
    with open_zip(path, what=_WHAT) as archive:
        missing = {"config.json", "metadata.json"} - set(archive.namelist())
        if missing:
            raise damaged(path, f"it lacks {' and '.join(sorted(missing))}", what=_WHAT)
        try:
            config = json.loads(read_member(path, archive, "config.json", most=_LARGEST_CONFIG))
            whys = sorted(set(_code_in(config)))
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"its config.json is no JSON ({error})", what=_WHAT) from error
    return tuple(Risk("keras-code", name, why) for why in whys)


def check_hdf5(path: Path) -> None:
    """Check that an HDF5 file is as long as its superblock says (its format specification, II.A); raises ``ModelError``."""
    first = head(path, 64)
    version, sizes = first[8:9], {b"\0": 13, b"\1": 13, b"\2": 9, b"\3": 9}
    if not first.startswith(HDF5_SIGNATURE) or version not in sizes:
        raise damaged(path, "it has no HDF5 superblock", what="HDF5 file")
    width = first[sizes[version]]
    addresses = {b"\0": 24, b"\1": 28, b"\2": 12, b"\3": 12}[version]
    end = int.from_bytes(first[addresses + 2 * width : addresses + 3 * width], "little")
    if (size := path.stat().st_size) < end:
        raise damaged(path, f"it is truncated: {size} bytes of {end}", what="HDF5 file")


def h5_risk(name: str) -> Risk:
    """Return why an HDF5 file needs trust: Keras's safe mode does not hold for it."""
    return Risk("h5", name, "is HDF5: Keras runs what its Lambda layers hold when it loads it, whatever safe_mode says")


def _code_in(config: Any) -> Iterator[str]:
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        if not isinstance(part, dict):
            continue
        pending += part.values()
        name, module = part.get("class_name"), part.get("module")
        if name in _RUNNING_CODE:
            yield f"has a {name} layer, which runs what it carries when it is loaded"
        elif isinstance(name, str) and "lambda" in name.lower():
            yield f"has a {name}, which is Python code"
        elif isinstance(module, str) and name is not None and not module.startswith(_OWN_MODULES):
            yield f"has {module}.{name}, which is none of Keras's own"
