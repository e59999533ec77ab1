"""Measures what importing a release costs, with and without its index, in fresh interpreters of its target."""

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efsprov.core.errors import BuildError, SmokeError, UsageError
from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.nfs_counters import NfsCounters, read_nfs_counters
from efsprov.pipeline.tools.run_script import clean_environment, run_script

SCRIPT = Path(__file__).parent / "in_target" / "measure.py"
BOOTSTRAP = Path(__file__).parents[2] / "bootstrap"
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
TAIL_LINES = 12


@dataclass(frozen=True)
class ImportCost:
    """What one import cost: seconds by the clock and of all processors, peak memory and bytes fetched, in bytes.

    ``shim`` and ``shim_cpu`` are the seconds that `efsprov.bootstrap` took, which ``wall`` and ``cpu`` include.
    ``requests`` is empty where the root is not NFS; bytes are then those that came from disks. ``indexed`` says whether the
    index answered, ``warning`` what the shim logged.
    """

    wall: float
    cpu: float
    shim: float
    shim_cpu: float
    peak: int
    fetched: int
    requests: dict[str, int]
    indexed: bool
    warning: str = ""

    @property
    def total_requests(self) -> int:
        """How many requests of every kind."""
        return sum(self.requests.values())


@dataclass(frozen=True)
class Subject:
    """A release as the shim finds it: its root, channel, target, id and site, and the interpreter that imports it."""

    root: Path
    channel: str
    target: str
    release: str
    site: Path
    python: Path


@dataclass(frozen=True)
class Comparison:
    """The costs of each round, one way and the other; ``nfs`` where the root is NFS, ``cold`` where caches were emptied."""

    imports: tuple[str, ...]
    plain: tuple[ImportCost, ...]
    accelerated: tuple[ImportCost, ...]
    shim: tuple[ImportCost, ...]
    nfs: bool
    cold: bool


def compare_imports(
    subject: Subject,
    imports: tuple[str, ...],
    *,
    rounds: int,
    cold: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Import ``imports`` both ways ``rounds`` times, taking turns, and the shim alone as often.

    When ``cold``, the caches of the machine are emptied before each; else a first round that is not counted fills them.
    ``tell`` hears what goes on. Raises ``UsageError`` when they may not be emptied and ``SmokeError`` when an import fails.
    """
    costs: dict[str, list[ImportCost]] = {"plain": [], "accelerated": [], "shim": []}
    with shim_folder(subject.python) as shim:
        for number in range(rounds + (not cold)):
            counted = cold or number > 0
            tell(f"round {number if not cold else number + 1} of {rounds}" if counted else "filling the caches")
            ways = list(costs)
            for way in ways if number % 2 else reversed(ways):
                if cold:
                    _empty_caches()
                cost = measure(subject, () if way == "shim" else imports, shim=None if way == "plain" else shim)
                if counted:
                    costs[way].append(cost)
    nfs = read_nfs_counters(subject.root) is not None
    plain, accelerated, alone = (tuple(each) for each in costs.values())
    return Comparison(imports, plain, accelerated, alone, nfs, cold)


def median(costs: Iterable[ImportCost], what: str) -> float:
    """Return the median of one figure, an attribute of `ImportCost`."""
    return float(statistics.median(getattr(cost, what) for cost in costs))


def measure(subject: Subject, imports: tuple[str, ...], *, shim: Path | None) -> ImportCost:
    """Import ``imports`` once, through the shim in the folder ``shim``, or plainly with the site on ``sys.path``."""
    with tempfile.TemporaryDirectory(prefix="efsprov-bench-") as home:
        before = read_nfs_counters(subject.root)
        variables = {**clean_environment(home), **environment(subject)}
        arguments = (subject.site, shim or "", *imports)
        done = run_script(subject.python, SCRIPT, arguments, cwd=Path(home), environment=variables)
        after = read_nfs_counters(subject.root)
    if done.code or not done.stdout.startswith(b"{"):
        lines = done.stderr.rstrip().splitlines()[-TAIL_LINES:]
        raise SmokeError(
            "\n  ".join([f"Importing {', '.join(imports) or 'the shim'} failed (exit code {done.code}).", *lines]),
            hint="`efsprov verify` tells whether the release is whole.",
        )
    return read_cost(json.loads(done.stdout), done.stderr, after.since(before) if before and after else None)


def environment(subject: Subject) -> dict[str, str]:
    """Return what the measured process finds in its environment beside what the interpreter needs to start."""
    return {
        "EFSPROV_ROOT": str(subject.root),
        "EFSPROV_CHANNEL": subject.channel,
        "EFSPROV_TARGET": subject.target,
        "EFSPROV_RELEASE": subject.release,
    }


def read_cost(result: dict[str, Any], output: str, nfs: NfsCounters | None) -> ImportCost:
    """Put together what the process told, its error output and the NFS client's counters."""
    warning = "\n".join(line.removeprefix("efsprov: ") for line in output.splitlines() if line.startswith("efsprov: "))
    return ImportCost(
        wall=result["wall"],
        cpu=result["cpu"],
        shim=result["shim"],
        shim_cpu=result["shim_cpu"],
        peak=result["peak"],
        fetched=nfs.read_bytes if nfs else result["stored"],
        requests=dict(nfs.requests) if nfs else {},
        indexed=result["indexed"],
        warning=warning,
    )


@contextmanager
def shim_folder(python: Path) -> Iterator[Path]:
    """Lend a folder that holds the shim with its bytecode, as a layer does."""
    with tempfile.TemporaryDirectory(prefix="efsprov-shim-") as name:
        folder = Path(name)
        shutil.copytree(BOOTSTRAP, folder / "efsprov" / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
        compiled = compile_tree(folder, python)
        if compiled.failed:
            raise BuildError(
                f"{python} cannot compile the shim: {compiled.failed[0]}.", hint="Use CPython 3.9 to 3.14."
            )
        yield folder


def _empty_caches() -> None:
    os.sync()
    try:
        DROP_CACHES.write_text("3", "ascii")
    except OSError as error:
        raise UsageError(
            f"The caches of this machine cannot be emptied: {error.strerror}.",
            hint="Run it as root, or leave --cold out.",
        ) from error
