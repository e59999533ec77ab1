"""Unpacks an archive that holds a model's files, and nothing that could reach outside of their folder."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import IO, Final

from efsprov.core.errors import ModelError
from efsprov.core.zip_members import is_folder
from efsprov.models.formats.file_head import head
from efsprov.models.formats.inspection import damaged
from efsprov.models.formats.zips import SIGNATURE, open_zip, refuse_name
from efsprov.store.fs.errors import translate_os_errors

_TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_WHAT: Final = "archive"
_CHUNK: Final = 1 << 20


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive to unpack: a tar by its name, or a zip that is called so."""
    name = path.name.lower()
    return name.endswith(_TAR_SUFFIXES) or (name.endswith(".zip") and head(path).startswith(SIGNATURE))


def unpack(path: Path, into: Path) -> None:
    """Write the files of an archive into the empty folder ``into``; raises ``ModelError`` for one that is not sound.

    Only files and folders are taken: links, devices, names that lead outside and names that stand twice are refused,
    and what would not fit on the disk is refused before it is written.
    """
    read = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    with translate_os_errors("Unpacking", into), _sound(path):
        for name, size, stream in read(path):
            _write(path, into, name, size, stream)


def _write(path: Path, into: Path, name: str, size: int, stream: IO[bytes]) -> None:
    target = into / name
    if size > shutil.disk_usage(into).free:
        raise ModelError(
            f"{path}: there is no room to unpack {name!r}, which is {size} bytes.",
            hint="Free space, or name another folder for efsprov's caches with EFSPROV_CACHE.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
    except (FileExistsError, NotADirectoryError) as error:
        raise damaged(path, f"{name!r} stands twice in it, or is a file and a folder", what=_WHAT) from error
    if target.stat().st_size != size:
        raise damaged(path, f"its member {name!r} is not {size} bytes long", what=_WHAT)


def _zip_members(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with open_zip(path, what=_WHAT) as archive:
        for member in archive.infolist():
            if not is_folder(member):
                with archive.open(member) as stream:
                    yield member.filename, member.file_size, stream


def _tar_members(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isdir() and name in {"", "."}:
                continue
            refuse_name(path, name)
            if member.isdir():
                continue
            stream = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if stream is None:
                raise damaged(path, f"its member {name!r} is not a plain file", what=_WHAT)
            yield name, member.size, stream


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, LZMAError, gzip.BadGzipFile) as error:
        raise damaged(path, f"it is truncated or damaged ({error})", what=_WHAT) from error
    except NotImplementedError as error:
        raise damaged(path, f"it is compressed in a way that Python does not know ({error})", what=_WHAT) from error
