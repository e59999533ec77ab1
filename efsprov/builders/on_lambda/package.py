"""The builder function's package: efsprov, what its pipeline needs, and uv, as one zip that is the same each time."""

import base64
import hashlib
import io
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.builders.installation import OLDEST_PYTHON, needed_files, pinned_needs, uv_platform
from efsprov.builders.wheel import own_wheel
from efsprov.core.errors import GateError, UsageError
from efsprov.core.target import Target
from efsprov.emit.archive import MAX_UNZIPPED, MAX_UPLOAD, Member, pack, refuse_too_large, unzipped_size
from efsprov.pipeline.tools.installer_settings import InstallerSettings

HANDLER: Final = "efsprov.builders.on_lambda.handler.handler"
_LEFT_OUT: Final = ("efsprov/cli/", "efsprov/aws/")  # they are the orchestrator's, and their dependencies stay there


@dataclass(frozen=True)
class Package:
    """A function's package; ``unzipped`` is its size in bytes once Lambda has unpacked it."""

    archive: bytes
    unzipped: int

    @property
    def sha256(self) -> str:
        """As Lambda tells it: base64."""
        return base64.b64encode(hashlib.sha256(self.archive).digest()).decode()


def make_package(target: Target, settings: InstallerSettings, *, limit: int = MAX_UNZIPPED) -> Package:
    """Make the package for a target, in the versions that run here; the same versions give the same bytes.

    Raises ``GateError`` for a runtime that efsprov cannot run in, ``UsageError`` with the sizes for a package of more
    than ``limit`` bytes, ``BuilderError`` when something cannot be fetched.
    """
    check_builder_target(target)
    with tempfile.TemporaryDirectory(prefix="efsprov-package-") as scratch:
        platform = uv_platform(target.machine, target.glibc)
        pins = pinned_needs(target.python, target.machine)
        needed = needed_files(pins, platform, target.python, Path(scratch), settings)
    members = {path.removeprefix("site/"): Member(content, path.startswith("bin/")) for path, content in needed.items()}
    return pack_package(members | own_files(), limit=limit)


def pack_package(members: dict[str, Member], *, limit: int = MAX_UNZIPPED, upload: int = MAX_UPLOAD) -> Package:
    """Pack a function's files; raises ``UsageError``, with the sizes, where Lambda would not take them."""
    refuse_too_large(members, what="The builder function's package", limit=limit)
    archive = pack(members)
    if len(archive) > upload:
        raise UsageError(
            f"The builder function's package is {len(archive):,} bytes as a zip; Lambda takes {upload:,} in a request.",
            hint="Leave out what the function does not need.",
        )
    return Package(archive, unzipped_size(members))


def own_files() -> dict[str, Member]:
    """Return efsprov's own files and metadata, as they go into the package."""
    with zipfile.ZipFile(io.BytesIO(own_wheel()[1])) as wheel:
        names = [name for name in wheel.namelist() if not name.startswith(_LEFT_OUT)]
        return {name: Member(wheel.read(name)) for name in names}


def check_builder_target(target: Target) -> None:
    """Raise ``GateError`` when no builder function can build for a target: one builds by its own interpreter."""
    runtime = target.lambda_runtime
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if runtime is None or tuple(map(int, target.python.split("."))) < OLDEST_PYTHON:
        raise GateError(
            f"No builder function can build for {target}: efsprov itself needs Python {oldest}, and a function has only "
            "the Python of its own runtime to prove that a release imports.",
            hint="Use --builder ec2 or --builder ssh.",
        )
