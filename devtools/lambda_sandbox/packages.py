"""Deployment packages: zip archives, unpacked as Lambda unpacks them and held to its limits."""

import base64
import hashlib
import io
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devtools.lambda_sandbox.rest_json import ServiceError

MAX_UNPACKED = 262_144_000
MAX_REQUEST = 70_167_211  # what Lambda's own error names: 50 MB and a little, in base64


@dataclass(frozen=True)
class Package:
    """``folder`` has the unpacked files, ``archive`` is the zip as it came; sizes are in bytes."""

    archive: Path
    folder: Path
    sha256: str
    size: int
    unpacked_size: int


def unpack(data: bytes, into: Path) -> Package:
    """Store an archive and its content below the new folder ``into``; ServiceError for what Lambda would refuse."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ServiceError("InvalidParameterValueException", "Could not unzip uploaded file.") from error
    with archive:
        members = archive.infolist()
        unpacked_size = sum(member.file_size for member in members)
        check_size(unpacked_size)
        for member in members:
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts:
                raise ServiceError("InvalidParameterValueException", f"Could not unzip: {member.filename}")
        folder = into / "content"
        folder.mkdir(parents=True)
        for member in members:
            _extract(archive, member, folder / member.filename)
    (into / "package.zip").write_bytes(data)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return Package(into / "package.zip", folder, digest, len(data), unpacked_size)


def check_size(unpacked: int) -> None:
    """Of code and layers together."""
    if unpacked > MAX_UNPACKED:
        message = f"Unzipped size must be smaller than {MAX_UNPACKED} bytes"
        raise ServiceError("InvalidParameterValueException", message)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    mode = member.external_attr >> 16
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        target.symlink_to(archive.read(member).decode())
        return
    target.write_bytes(archive.read(member))
    target.chmod(stat.S_IMODE(mode) or 0o644)
