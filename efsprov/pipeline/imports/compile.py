"""Compiles every source of a tree with the target's interpreter, in parallel, unless its bytecode is known from before."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from efsprov.core.errors import BuildError
from efsprov.pipeline.imports.bytecode_cache import BytecodeCache
from efsprov.pipeline.tools.interpreter import Interpreter
from efsprov.pipeline.tools.run_script import run_script
from efsprov.pipeline.tools.scratch import cache_folder

SCRIPT = Path(__file__).parent / "in_target" / "compile.py"


@dataclass(frozen=True)
class CompileReport:
    """How many sources have bytecode now, which have none (templates, Python 2), and the seconds that it took.

    ``known`` of them were compiled for an earlier release. ``hashes`` has the SHA-256 of bytecode by its path, as far as
    a cache was asked.
    """

    compiled: int
    failed: tuple[str, ...]
    seconds: float
    known: int = 0
    hashes: Mapping[str, str] = field(default_factory=dict)


def bytecode_cache(python: Interpreter) -> BytecodeCache:
    """Return efsprov's own cache of what ``python`` compiled, as the script that compiles does it today."""
    script = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / "bytecode" / f"cpython-{python.full}-{script}"
    return BytecodeCache(folder, f"cpython-{python.version.replace('.', '')}")


def compile_sources(
    site: Path, python: Interpreter, hashes: Mapping[str, str], cache: BytecodeCache, *, jobs: int | None = None
) -> CompileReport:
    """Write bytecode as ``compile_tree`` does, or link it from ``cache``, for each ``.py`` that ``hashes`` names.

    ``hashes`` maps paths in ``site`` to the SHA-256 that they have. What is compiled here is kept in ``cache``.
    """
    started = perf_counter()
    sources = {path: sha256 for path, sha256 in hashes.items() if path.endswith(".py")}
    given = cache.give(site, sources)
    missing = {path: sha256 for path, sha256 in sources.items() if cache.bytecode_path(path) not in given}
    failed = _run(site, python.path, jobs=jobs, names=missing)[0] if missing else ()
    kept = cache.keep(site, {path: sha256 for path, sha256 in missing.items() if path not in failed})
    seconds = perf_counter() - started
    return CompileReport(len(sources) - len(failed), failed, seconds, known=len(given), hashes=given | kept)


def compile_tree(site: Path, python: Path, *, jobs: int | None = None) -> CompileReport:
    """Write ``__pycache__`` bytecode for each ``.py`` under ``site``, by ``python``, in ``jobs`` processes (all CPUs).

    The bytecode is of PEP 552's unchecked-hash kind: neither a copy's modification times nor a look at the source can
    void it. A source that does not compile is not an error. Raises ``BuildError`` when the interpreter itself fails.
    """
    started = perf_counter()
    failed, count = _run(site, python, jobs=jobs)
    return CompileReport(count, failed, perf_counter() - started)


def _run(
    site: Path, python: Path, *, jobs: int | None, names: Iterable[str] | None = None
) -> tuple[tuple[str, ...], int]:
    """Compile ``names``, by default all; return those that cannot be compiled, and how many were."""
    arguments = [str(site), str(jobs or len(os.sched_getaffinity(0))), *([] if names is None else ["-"])]
    given = b"".join(os.fsencode(name) + b"\0" for name in names or ())
    done = run_script(python, SCRIPT, arguments, given=given)
    *failed, count = done.stdout.split(b"\0")
    if done.code or not count.startswith(b"+"):
        raise BuildError(
            f"{python} could not compile {site}: {done.last_line}",
            hint="Is there room on the builder's disk, and is this interpreter whole (`python -m compileall`)?",
        )
    return tuple(os.fsdecode(name) for name in failed), int(count)
