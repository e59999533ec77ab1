"""Resolves requirements for one target by one run of `uv pip compile`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from efsprov.core.lock import Lock, parse_lock, select
from efsprov.core.pins import Unheld, hold
from efsprov.core.target import Target
from efsprov.pipeline.resolve.requirement_files import Requirements
from efsprov.pipeline.resolve.uv_failure import Failure, Kind, understand
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.uv import UV_GLIBC, own_python, run_uv


@dataclass(frozen=True)
class Compile:
    """One question to the resolver. ``glibc`` is the N of glibc 2.N to resolve for, the target's own by default.

    ``torch_backend`` is uv's. With ``in_haste`` an index that does not answer fails at once instead of after retries. ``lowest`` asks for the oldest
    version that fits of what was asked for.
    """

    requirements: Requirements
    target: Target
    settings: InstallerSettings
    allow_sdists: bool = False
    glibc: int | None = None
    torch_backend: str | None = None
    constraints: tuple[str, ...] = ()
    no_dependencies: bool = False
    in_haste: bool = False
    lowest: bool = False


@dataclass(frozen=True)
class Compiled:
    """The resolver's answer: one file of each package, for the target; and what uv warned of."""

    lock: Lock
    warnings: tuple[str, ...] = ()


def run_compile(question: Compile) -> Compiled | Failure:
    """Ask uv. A package for which only unfit wheels were found keeps them all, see ``core.lock.select``."""
    with tempfile.TemporaryDirectory(prefix="efsprov-resolve-") as folder:
        arguments = _arguments(question, Path(folder))
        hasty = {"UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_TIMEOUT": "15"}
        answer = run_uv(arguments, question.settings, extra_environment=hasty if question.in_haste else None)
    if not answer.ok:
        return understand(answer.stderr)
    warnings = (line.removeprefix("warning: ") for line in answer.stderr.splitlines() if line.startswith("warning: "))
    kept = tuple(text for text in warnings if not text.startswith("The requested Python version"))
    held = hold(parse_lock(answer.stdout, where="uv's lock", folder=str(Path.cwd())), question.requirements.pins)
    if isinstance(held, Unheld):
        return Failure(Kind.HASH, held.name, held.reason)
    return Compiled(select(held, question.target), kept)


def platform_glibc(target: Target) -> int:
    """Return the newest N of glibc 2.N that uv can resolve for and that ``target`` has."""
    return max((n for n in UV_GLIBC if n <= target.glibc[1]), default=UV_GLIBC[0])


def _arguments(question: Compile, folder: Path) -> list[str]:
    target = question.target
    glibc = question.glibc or platform_glibc(target)
    arguments = ["pip", "compile", "--format", "pylock.toml", "--generate-hashes", "--no-header", "--no-annotate"]
    arguments += ["--python", own_python(), "--python-version", target.python]
    arguments += ["--python-platform", f"{target.machine}-manylinux_2_{glibc}"]
    request = question.requirements
    for name in request.options.only_binary if question.allow_sdists else (":all:",):
        arguments += ["--only-binary", name]
    if request.options.pre:
        arguments += ["--prerelease", "allow"]
    if question.lowest:
        arguments += ["--resolution", "lowest-direct"]
    if question.no_dependencies:
        arguments.append("--no-deps")
    if question.torch_backend:
        arguments += ["--torch-backend", question.torch_backend]
    if limits := (*request.constraints, *question.constraints):
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join(limits), "utf-8")
        arguments += ["--constraint", str(constraints)]
    requirements = folder / "requirements.in"
    requirements.write_text("\n".join(request.texts), "utf-8")
    return [*arguments, str(requirements)]
