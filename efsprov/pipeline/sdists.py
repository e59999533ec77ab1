"""Builds wheels of what comes as sources. That runs the packages' own code, so it happens only when asked for."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from efsprov.core.errors import BuildError
from efsprov.core.lock import LockedFile, LockedPackage
from efsprov.core.target import Target
from efsprov.core.wheels import misfit
from efsprov.pipeline.installer_settings import InstallerSettings
from efsprov.pipeline.uv import run_uv


def build_wheels(
    packages: Sequence[LockedPackage],
    files: dict[str, Path],
    *,
    target: Target,
    python: Path,
    settings: InstallerSettings,
    scratch: Path,
) -> tuple[tuple[LockedPackage, ...], dict[str, Path]]:
    """Return ``packages`` and ``files`` with each source replaced by the wheel that ``python`` makes of it.

    What a source needs to be built is resolved then and there, and is in no lock. The wheels' libraries are held
    against the target like all others: what this machine links may be too new for it. Raises ``BuildError``.
    """
    built, found = [], dict(files)
    for package in packages:
        if package.file.is_wheel:
            built.append(package)
            continue
        folder = scratch / "built" / package.name
        answer = run_uv(
            ["build", "--wheel", "--python", str(python), "--out-dir", str(folder), str(files[package.name])], settings
        )
        wheels = sorted(folder.glob("*.whl"))
        if not answer.ok or len(wheels) != 1:
            lines = [line for line in answer.stderr.splitlines() if line.strip()]
            raise BuildError(
                "\n  ".join([f"{package.file.filename} could not be built into a wheel:", *lines[-12:]]),
                hint="Choose a version that has wheels; or install on the builder what the build wants.",
            )
        reason = misfit([wheels[0].name], target)
        if reason:
            raise BuildError(
                f"{package.file.filename} was built into {wheels[0].name}, which does not run on {target}: it {reason}.",
                hint="Build on a machine of the target's architecture and Python.",
            )
        sha256 = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        wheel = LockedFile(wheels[0].name, wheels[0].absolute().as_uri(), sha256, wheels[0].stat().st_size)
        built.append(replace(package, wheels=(wheel,), sdist=None))
        found[package.name] = wheels[0]
    return tuple(built), found
