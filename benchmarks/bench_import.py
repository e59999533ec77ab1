"""Measures what importing TensorFlow and PyTorch costs over NFS, in the lab and in one run, against the standard import.

usage: python benchmarks/bench_import.py [tensorflow] [torch] [--root DIR] [--rounds N] [--native N] [--json]

The releases are made on this machine by `efsprov sync` (or taken from DIR) and put on the lab's export. A cold client
then imports each one the standard way (its site on ``sys.path``) and through the shim, with no delay and with one added
to every round trip, in turns with the standard import from the same guest's local disk. Requests and bytes are the client's own
counters; walls are medians, the shim's own time included. Warm walls, the shim's time and memory are taken natively.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from devtools.nfs_lab import MOUNTS, Guest, best_place_for_server
from devtools.nfs_lab.guest import EXPORT
from efsprov.pipeline.imports.bench import (
    SCRIPT,
    ImportCost,
    Subject,
    compare_imports,
    environment,
    median,
    read_cost,
    shim_folder,
)
from efsprov.pipeline.imports.import_index import read_figures
from efsprov.pipeline.imports.nfs_counters import NfsCounters
from efsprov.pipeline.tools.interpreter import find_interpreter
from efsprov.pipeline.tools.run_script import script_command

FRAMEWORKS = {"tensorflow": ("tensorflow==2.15", "python3.11"), "torch": ("torch==2.13.0", "host")}
# Each has a bar to hold and an aim beyond it.
BARS = {
    "tensorflow": {"requests": (1700, 1000), "wall": (1.0, 0.85)},
    "torch": {"requests": (1500, 600), "wall": (1.1, 0.85)},
}
DELAY, BYTES, SHIM_REQUESTS, SHIM_MS, WARM, MEMORY = (
    (1 / 10, 1 / 20),
    (1.2, 1.05),
    (12, 6),
    (10, 5),
    (1.0, 0.9),
    (1.1, 1),
)
EFSPROV = Path(sys.executable).with_name("efsprov")
Costs = dict[str, list[ImportCost]]


@contextmanager
def root_with(names: list[str], given: Path | None) -> Iterator[Path]:
    """Lend a root with a current release of each framework."""
    with tempfile.TemporaryDirectory(prefix="bench-import-") as name:
        root = (given or Path(name)).resolve()
        for framework in names:
            requirement, runtime = FRAMEWORKS[framework]
            argv = [EFSPROV, "sync", "--root", root, "--framework", requirement, "--runtime", runtime]
            subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.DEVNULL)
        yield root


def subject_of(root: Path, framework: str) -> Subject:
    target = next(path for path in (root / "deps" / framework).iterdir() if (path / "current").is_symlink())
    python = find_interpreter(target.name.split("-")[0].removeprefix("python"))
    site = (target / "current").resolve() / "site"
    return Subject(root, framework, target.name, site.parent.name, site, python.path)


def moved(subject: Subject, root: str) -> Subject:
    """The same release where the guest has it."""
    return replace(subject, root=Path(root), site=root / subject.site.relative_to(subject.root))


def once(guest: Guest, subject: Subject, imports: tuple[str, ...], *, where: str, shim: Path | None) -> ImportCost:
    """One import by a cold client, or from the guest's own disk."""
    there = moved(subject, EXPORT if where == "disk" else MOUNTS["a"])
    guest.drop_caches()
    if where != "disk":
        guest.remount("a")
    before = guest.rpcs("a")
    home = {"HOME": "/mnt/scratch/tmp", "TMPDIR": "/mnt/scratch/tmp", "LANG": "C.UTF-8"}
    variables = home | environment(there)
    del variables["EFSPROV_RELEASE"]  # the shim reads what is current, as in a function
    command = script_command(there.python, SCRIPT, (there.site, shim or "", *imports))
    done = guest.run("server" if where == "disk" else "a", command, env=variables, timeout=1800, check=True)
    used = guest.rpcs("a") - before
    cost = read_cost(json.loads(done.stdout), done.stderr, NfsCounters(used.ops, used.read_bytes))
    if imports and shim and not cost.indexed:
        raise SystemExit(f"{subject.channel} was imported without its index:\n{done.stderr}")
    return cost


def in_the_lab(guest: Guest, subject: Subject, shim: Path, delay: float, rounds: int) -> Costs:
    costs: Costs = defaultdict(list)
    imports = (subject.channel,)
    for _ in range(rounds):
        for milliseconds in (0.0, delay):
            guest.set_delay(milliseconds)
            label = "no delay" if not milliseconds else "delay"
            for way, folder in (("accelerated", shim), ("stock", None)):
                costs[f"{way}, {label}"].append(once(guest, subject, imports, where="nfs", shim=folder))
        costs["shim"].append(once(guest, subject, (), where="nfs", shim=shim))
        costs["disk"].append(once(guest, subject, imports, where="disk", shim=None))
    return costs


def measure(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"delay_ms": options.delay, "rounds": options.rounds}
    with root_with(options.frameworks, options.root) as root:
        subjects = [subject_of(root, framework) for framework in options.frameworks]
        for subject in subjects:
            # Bounds of this machine, apart from the lab's.
            native = compare_imports(subject, (subject.channel,), rounds=options.native)
            found[subject.channel] = {
                "native": {way: [asdict(c) for c in getattr(native, way)] for way in ("plain", "accelerated", "shim")},
                "touched": touched(subject),
            }
        seconds = options.rounds * len(subjects) * 900 + 1800
        with (
            shim_folder(subjects[0].python) as shim,
            Guest(
                seed=root, memory_mb=options.memory, disk_gb=12, seconds=seconds, server_on=options.server_on
            ) as guest,
        ):
            for subject in subjects:
                costs = in_the_lab(guest, subject, shim, options.delay, options.rounds)
                found[subject.channel]["lab"] = {name: [asdict(c) for c in each] for name, each in costs.items()}
    return found


def touched(subject: Subject) -> int:
    """Bytes that the import touches, as the build recorded them: bytecode, pages of libraries, quoted sources."""
    figures = read_figures(subject.site.parent)
    if figures is None:
        raise SystemExit(f"{subject.site.parent} has no index")
    return figures.hot_bytes + figures.library_bytes


def table(framework: str, found: dict[str, Any], delay: float) -> list[tuple[str, ...]]:
    """Rows of what, measured, bar, aim, holds."""
    lab: Costs = {name: [ImportCost(**c) for c in each] for name, each in found["lab"].items()}
    native: Costs = {name: [ImportCost(**c) for c in each] for name, each in found["native"].items()}
    fast, stock = (median(lab[f"{way}, delay"], "total_requests") for way in ("accelerated", "stock"))
    bars = BARS[framework]
    wall = {name: median(each, "wall") for name, each in lab.items()}
    added = {way: wall[f"{way}, delay"] - wall[f"{way}, no delay"] for way in ("accelerated", "stock")}
    local = wall["accelerated, delay"] / wall["disk"]
    fetched = median(lab["accelerated, delay"], "fetched") / found["touched"]
    shim_requests = max(cost.total_requests for cost in lab["shim"])
    shim_ms = 1000 * median(native["shim"], "shim")
    warm = median(native["accelerated"], "wall") / median(native["plain"], "wall")
    memory = median(native["accelerated"], "peak") / median(native["plain"], "peak")
    delay_share = added["accelerated"] / added["stock"]
    ms = f"{delay:g} ms"

    def row(what: str, value: float, limits: tuple[float, float], text: str, form: str = "{:.2f} x") -> tuple[str, ...]:
        return (what, text, form.format(limits[0]), form.format(limits[1]), _holds(value, limits))

    return [
        row("requests to import", fast, bars["requests"], f"{fast:.0f} ({stock:.0f} stock)", "{:.0f}"),
        row(
            f"what {ms} adds, against stock",
            delay_share,
            DELAY,
            f"{delay_share:.3f} x ({added['accelerated']:.2f} s, {added['stock']:.2f} s)",
            "{:.3f} x",
        ),
        row(
            f"wall at {ms}, against local disk",
            local,
            bars["wall"],
            f"{local:.2f} x ({wall['accelerated, delay']:.1f} s, {wall['disk']:.1f} s; stock {wall['stock, delay']:.1f} s)",
        ),
        row(
            "bytes read, against touched",
            fetched,
            BYTES,
            f"{fetched:.3f} x ({median(lab['accelerated, delay'], 'fetched') / 1e6:.1f} MB, {found['touched'] / 1e6:.1f} MB; stock {median(lab['stock, delay'], 'fetched') / 1e6:.1f} MB)",
        ),
        row("shim alone, requests", shim_requests, SHIM_REQUESTS, f"{shim_requests}", "{:.0f}"),
        row("shim alone, native", shim_ms, SHIM_MS, f"{shim_ms:.1f} ms", "{:.0f} ms"),
        row(
            "warm local disk, native wall, against plain",
            warm,
            WARM,
            f"{warm:.3f} x ({median(native['accelerated'], 'wall'):.3f} s, {median(native['plain'], 'wall'):.3f} s)",
        ),
        row(
            "peak memory, against plain",
            memory,
            MEMORY,
            f"{memory:.3f} x ({median(native['accelerated'], 'peak') / 1e6:.0f} MB, {median(native['plain'], 'peak') / 1e6:.0f} MB)",
        ),
    ]


def _holds(value: float, limits: tuple[float, float]) -> str:
    bar, aim = limits
    if value < -bar:  # a delay that made an import faster: other work on the machine was in the way
        return "noise"
    return "aim" if abs(value) <= aim else "bar" if abs(value) <= bar else "NO"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "frameworks", nargs="*", choices=[*FRAMEWORKS, []], metavar="FRAMEWORK", help="both, where none is named"
    )
    parser.add_argument("--root", type=Path, help="a root to make the releases in, or that has them already")
    parser.add_argument("--rounds", type=int, default=3, help="in the lab")
    parser.add_argument("--native", type=int, default=9, help="rounds natively")
    parser.add_argument("--delay", type=float, default=1.0, help="milliseconds added to each round trip")
    parser.add_argument("--memory", type=int, default=6144, help="of the guest, MB")
    parser.add_argument("--server-on", choices=("guest", "host"), default=best_place_for_server())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.frameworks = options.frameworks or list(FRAMEWORKS)
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{os.cpu_count()} processors, {options.rounds} rounds in the lab, {options.native} natively")
    for framework in options.frameworks:
        rows = [
            (FRAMEWORKS[framework][0], "measured", "bar", "aim", "holds"),
            *table(framework, found[framework], options.delay),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        print()
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        for name in ("accelerated, delay", "stock, delay", "shim"):
            print(f"{name}: {found[framework]['lab'][name][-1]['requests']}")


if __name__ == "__main__":
    main()
