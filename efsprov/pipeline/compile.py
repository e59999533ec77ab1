"""Compiles every source of a tree with the target's interpreter, in parallel."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from efsprov.core.errors import BuildError

SCRIPT = Path(__file__).parent / "in_target" / "compile.py"


@dataclass(frozen=True)
class CompileReport:
    """How many sources have bytecode now, which have none (templates, Python 2), and the seconds that it took."""

    compiled: int
    failed: tuple[str, ...]
    seconds: float


def compile_tree(site: Path, python: Path, *, jobs: int | None = None) -> CompileReport:
    """Write ``__pycache__`` bytecode for each ``.py`` under ``site``, by ``python``, in ``jobs`` processes (all CPUs).

    The bytecode is of PEP 552's unchecked-hash kind: neither a copy's modification times nor a look at the source can
    void it. A source that does not compile is no error. Raises ``BuildError`` when the interpreter itself fails.
    """
    started = perf_counter()
    jobs = jobs or len(os.sched_getaffinity(0))
    done = subprocess.run([python, "-I", "-S", SCRIPT, site, str(jobs)], capture_output=True, check=False)
    *failed, count = done.stdout.split(b"\0")
    if done.returncode or not count.startswith(b"+"):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise BuildError(
            f"{python} could not compile {site}: {last[0]}",
            hint="Is there room on the builder's disk, and is this interpreter whole (`python -m compileall`)?",
        )
    return CompileReport(int(count), tuple(os.fsdecode(name) for name in failed), perf_counter() - started)
