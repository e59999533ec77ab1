"""Keras: the `.keras` archive, and HDF5 files."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from efsprov.core.zip_members import is_folder
from efsprov.models.formats.file_head import head
from efsprov.models.formats.inspection import Risk, damaged
from efsprov.models.formats.keras_config import code_in
from efsprov.models.formats.packed import content_risks
from efsprov.models.formats.zips import open_zip, read_member

HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_LARGEST_CONFIG: Final = 1 << 28
_WHAT: Final = "Keras model"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_KNOWN: Final = frozenset((_CONFIG, "metadata.json", _WEIGHTS))


def check_keras(path: Path, name: str) -> tuple[Risk, ...]:
    """Check a `.keras` archive and return what in it runs code when it is loaded; raises ``ModelError``."""
    with open_zip(path, what=_WHAT) as archive:
        missing = {_CONFIG, "metadata.json"} - set(archive.namelist())
        if missing:
            raise damaged(path, f"it lacks {' and '.join(sorted(missing))}", what=_WHAT)
        try:
            config = json.loads(read_member(path, archive, _CONFIG, most=_LARGEST_CONFIG))
            whys = sorted(set(code_in(config)))
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"its config.json is not JSON ({error})", what=_WHAT) from error
        beside = sorted(set(_beside(path, archive, name)))
    return (*(Risk("keras-code", name, why) for why in whys), *beside)


def _beside(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[Risk]:
    """Judge what else is in it: assets, which layers read, and weights, which Keras takes in other forms, too.

    `model.weights.npz` is loaded with ``allow_pickle=True`` (keras/src/saving/saving_lib.py, NpzIOStore).
    """
    for member in archive.infolist():
        if is_folder(member) or member.filename in _KNOWN - {_WEIGHTS}:
            continue
        try:
            with archive.open(member) as stream:
                if member.filename == _WEIGHTS and stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
                    continue
            with archive.open(member) as stream:
                for kind, why in content_risks(stream, member.filename):
                    yield Risk(kind, name, f"holds {member.filename!r}, which {why}")
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
            raise damaged(path, f"its member {member.filename!r} cannot be read ({error})", what=_WHAT) from error


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
