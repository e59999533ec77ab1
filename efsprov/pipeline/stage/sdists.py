"""Builds wheels of what comes as sources. That runs the packages' own code, so it happens only when asked for, and boxed.

What a build needs is installed first, from wheels, by uv; the hooks of the build backend (PEP 517) run then, in a box
without network, index logins, or any file of this machine but the system's (`efsprov.pipeline.tools.box`).
"""

import hashlib
import json
import os
import shutil
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from efsprov.core.errors import BuildError
from efsprov.core.filelist import is_inside
from efsprov.core.lock import LockedFile, LockedPackage
from efsprov.core.target import Target
from efsprov.core.wheels import misfit
from efsprov.pipeline.tools.box import BoxedCommand, run_boxed
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.interpreter import interpreter_needs
from efsprov.pipeline.tools.uv import run_uv

SCRIPT: Final = Path(__file__).parent / "in_target" / "build_wheel.py"
_HINT: Final = (
    "Choose a version that has wheels; or install on the builder what the build wants: it runs without network there."
)
_SECONDS: Final = 3600
_TAIL_LINES: Final = 12
_LARGEST_SETTINGS: Final = 1 << 20


@dataclass(frozen=True)
class BuildSystem:
    """The table `[build-system]` of a source, with what PEP 517 and 518 put in the place of what it does not have."""

    requires: tuple[str, ...] = ("setuptools>=40.8.0",)
    backend: str = "setuptools.build_meta:__legacy__"
    backend_path: tuple[str, ...] = ()


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
        folder = scratch.resolve() / "sdists" / package.name
        folder.mkdir(parents=True)
        path = _build(package.file.filename, files[package.name], folder, python=python, settings=settings)
        reason = misfit([path.name], target)
        if reason:
            raise BuildError(
                f"{package.file.filename} was built into {path.name}, which does not run on {target}: it {reason}.",
                hint="Build on a machine of the target's architecture and Python.",
            )
        wheel = LockedFile(path.name, path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        built.append(replace(package, wheels=(wheel,), sdist=None))
        found[package.name] = path
    return tuple(built), found


def _build(name: str, sdist: Path, folder: Path, *, python: Path, settings: InstallerSettings) -> Path:
    """Build one wheel in ``folder``, which is empty; the source is copied there, so that nobody changes the cache's."""
    system = read_build_system(sdist, name)
    source = Path(shutil.copyfile(sdist, folder / sdist.name))
    environment = _Environment(folder / "environment", python, settings, name)
    environment.make()
    environment.install(system.requires)
    more = _hook("requires", system, source, folder, environment)
    if not isinstance(more, list):
        raise BuildError(f"{name} could not be built into a wheel: its backend returned no list.", hint=_HINT)
    environment.install(tuple(str(requirement) for requirement in more))
    out = folder / "wheel"
    out.mkdir()
    _hook(str(out), system, source, folder, environment)
    wheels = sorted(
        path for path in out.iterdir() if path.suffix == ".whl" and path.is_file() and not path.is_symlink()
    )
    if len(wheels) != 1:
        raise BuildError(f"{name} could not be built into a wheel: its build left {len(wheels)} of them.", hint=_HINT)
    return wheels[0]


def read_build_system(sdist: Path, name: str) -> BuildSystem:
    """Return the build system that the pyproject.toml of a source names; raises ``BuildError``."""
    try:
        return _parse(tomllib.loads(_pyproject(sdist).decode("utf-8")).get("build-system", {}))
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise BuildError(f"{name} could not be built into a wheel: {error}.", hint=_HINT) from error


def _parse(table: dict[str, Any]) -> BuildSystem:
    """Return what a table `[build-system]` says; raises ``ValueError`` for what PEP 517 and 518 do not allow."""
    requires = table.get("requires", list(BuildSystem.requires))
    backend, paths = table.get("build-backend", BuildSystem.backend), table.get("backend-path", [])
    if not isinstance(requires, list) or not isinstance(paths, list):
        raise ValueError(  # noqa: TRY004 - a fault of the document
            "[build-system] has something else than lists for `requires` or `backend-path`"
        )
    if not all(isinstance(word, str) and word.isprintable() for word in [backend, *requires, *paths]):
        raise ValueError("[build-system] has something else than plain text")
    if any(requirement.startswith("-") for requirement in requires):
        raise ValueError("a requirement of [build-system] begins with `-`")
    if not all(path == "." or is_inside(path) for path in paths):
        raise ValueError("`backend-path` leads out of the source")
    return BuildSystem(tuple(requires), backend, tuple(paths))


def _pyproject(sdist: Path) -> bytes:
    """Return the pyproject.toml of a source, empty where there is none (PEP 625: below the archive's one folder)."""
    if zipfile.is_zipfile(sdist):
        with zipfile.ZipFile(sdist) as zipped:
            for info in zipped.infolist():
                if _is_pyproject(info.filename):
                    with zipped.open(info) as file:
                        return file.read(_LARGEST_SETTINGS)
        return b""
    with tarfile.open(sdist) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and _is_pyproject(member.name) else None
            if content:
                return content.read(_LARGEST_SETTINGS)
    return b""


def _is_pyproject(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) == 2 and parts[1] == "pyproject.toml"


def _hook(what: str, system: BuildSystem, source: Path, folder: Path, environment: "_Environment") -> object:
    """Run a hook in a box; return its answer, or raise ``BuildError`` with the end of what it printed."""
    report, home = folder / "report", folder / "home"
    home.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    arguments = (
        str(source),
        str(folder / "source"),
        system.backend,
        json.dumps(system.backend_path),
        what,
        str(report),
    )
    outcome = run_boxed(
        BoxedCommand(
            (str(environment.python), "-B", str(SCRIPT), *arguments),
            cwd=home,
            readable=(SCRIPT.parent, *interpreter_needs(environment.base).folders),
            writable=(folder,),
            environment=environment.variables(home),
            seconds=_SECONDS,
        )
    )
    answer = report.read_text("utf-8", "replace") if report.is_file() and not report.is_symlink() else ""
    if outcome.code == 0 and answer:
        try:
            return json.loads(answer)
        except ValueError:
            pass  # somebody else wrote it
    lines = [line for line in outcome.output.splitlines() if line.strip()]
    if outcome.code is None:
        lines.append(f"it was not done after {_SECONDS} seconds")
    raise BuildError(
        "\n  ".join([f"{environment.name} could not be built into a wheel:", *lines[-_TAIL_LINES:]]), hint=_HINT
    )


@dataclass(frozen=True)
class _Environment:
    """A virtual environment for the build of the source ``name``, by the interpreter ``base``."""

    folder: Path
    base: Path
    settings: InstallerSettings
    name: str

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def make(self) -> None:
        self._uv(["venv", "--quiet", "--no-project", "--python", str(self.base), str(self.folder)])

    def install(self, requirements: tuple[str, ...]) -> None:
        """Install requirements of the build, from wheels only: nobody's code runs for it."""
        if requirements:
            self._uv(["pip", "install", "--python", str(self.python), "--only-binary", ":all:", "--", *requirements])

    def variables(self, home: Path) -> dict[str, str]:
        path = os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)])
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "CC", "CXX", "CFLAGS") if name in os.environ}
        return {**kept, "PATH": path, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}

    def _uv(self, arguments: list[str]) -> None:
        answer = run_uv(arguments, self.settings)
        if not answer.ok:
            lines = [line for line in answer.stderr.splitlines() if line.strip()]
            raise BuildError(
                "\n  ".join([f"What the build of {self.name} needs could not be installed:", *lines[-_TAIL_LINES:]]),
                hint="A build's requirements must have wheels. Choose a version of the package that has wheels itself.",
            )
