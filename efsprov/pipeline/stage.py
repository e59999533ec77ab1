"""Installs a lock, in one call, into an empty local folder."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from efsprov.core.errors import BuildError
from efsprov.core.lock import Lock
from efsprov.core.manifest import Distribution
from efsprov.core.target import Target
from efsprov.pipeline.installer_settings import InstallerSection, installer_settings
from efsprov.pipeline.scratch import cache_folder
from efsprov.pipeline.steps import Steps
from efsprov.pipeline.uv import run_uv


@dataclass(frozen=True)
class Staged:
    hashes: dict[str, str]
    distributions: tuple[Distribution, ...]
    import_names: tuple[str, ...]


def stage(lock: Lock, target: Target, site: Path, scratch: Path, steps: Steps) -> Staged:
    with steps.step("stage") as step:
        req = scratch / "requirements.txt"
        req.write_text("".join(f"{p.name} @ {p.file.url} --hash=sha256:{p.file.sha256}\n" for p in lock.packages))
        plat = f"{target.machine}-manylinux_2_{17 if target.glibc[1] < 28 else min(target.glibc[1], 40)}"
        answer = run_uv(
            ["pip", "install", "--target", str(site), "--require-hashes", "--no-deps", "--only-binary", ":all:", "--python-version", target.python,
             "--python-platform", plat, "-r", str(req), "--link-mode", "hardlink"],
            installer_settings(InstallerSection(), os.environ, folder=Path.cwd()), extra_environment={"UV_CACHE_DIR": str(cache_folder() / "uv")})
        if not answer.ok:
            raise BuildError(f"uv could not install: {answer.stderr[-800:]}")
        (site / ".lock").unlink(missing_ok=True)
        step.outcome = f"{len(lock.packages)} packages"
    names = {"scikit-learn": "sklearn"}
    return Staged({}, tuple(Distribution(name=p.name, version=p.version, wheel=p.file.filename, sha256=p.file.sha256) for p in lock.packages), tuple(n for n in ("tensorflow", "torch", "sympy") if (site / n).is_dir()))
