"""Measures what a sync costs over NFS, in the lab and in one run, beside `shutil.copytree` to the same mount.

usage: python benchmarks/bench_sync.py [REQUIREMENT] [--changing NAME==OLD,NEW] [--delay MS] [--no-copytree] [--json]

The release is composed on this machine (resolved, installed, compiled, imported, indexed), twice: the second time with
one small package of another version. What touches the root then runs on an NFSv4.1 client of the lab, with a delay added
to every round trip: a first sync, a second one, a sync that is killed at 80 % of its copy, and its resumption from the
other client. The baseline is `uv pip install --target` into a local folder and `shutil.copytree` to the mount.
RPCs and bytes are the client's own counters. Locally, `efsprov sync` from a warm cache runs beside
`uv pip install --target --compile-bytecode`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.nfs_lab import MOUNTS, Guest, best_place_for_server
from devtools.nfs_lab.mountstats import Rpcs
from efsprov.core import filelist
from efsprov.core.build import BuildRequest
from efsprov.core.events import SILENT
from efsprov.core.target import Target
from efsprov.pipeline.compose import compose
from efsprov.pipeline.resolve.plan import SyncOptions, make_plan, read_inputs
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import scratch_folder

TOOLS = Path(sys.executable).parent
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
TAIL = Path(__file__).with_name("sync_tail.py")
CHANNEL = "bench"
KILL_AT = 0.8
AS_ON_A_BUILDER = ["sysctl", "-q", "-w", "fs.protected_hardlinks=0"]  # bootstrap/builder/prepare.sh
COPYTREE = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


@dataclass(frozen=True)
class Composed:
    """A tree on the local disk, ready to be published."""

    tree: Path
    listed: Path
    digest: str
    target: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Run:
    """One run of the tail: wall seconds, RPCs and bytes of the whole and of the copy alone, and what it reported."""

    wall: float
    rpcs: Rpcs
    copy_wall: float
    copy_rpcs: Rpcs
    lines: list[dict[str, Any]]

    def value(self, name: str) -> Any:
        """The last value that was reported under a name."""
        return next((line[name] for line in reversed(self.lines) if name in line), 0)


def requirements(requirement: str, changing: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    name, _, versions = changing.partition("==")
    old, new = versions.split(",")
    return (requirement, f"{name}=={old}"), (requirement, f"{name}=={new}")


@contextmanager
def composed(wanted: tuple[str, ...]) -> Iterator[Composed]:
    """Compose a release in a scratch folder and list its files."""
    with tempfile.TemporaryDirectory(prefix="bench-root-") as root, scratch_folder() as scratch:
        sync_options = SyncOptions(root=Path(root), channel=CHANNEL, requirements=wanted, runtime=RUNTIME)
        _, request = make_plan(sync_options, read_inputs(sync_options), emit=SILENT)
        yield _compose(request, scratch)


def _compose(request: BuildRequest, scratch: Path) -> Composed:
    made = compose(request, Target.parse(request.target), scratch, ProgressReporter(SILENT))
    listed = scratch / "files"
    listed.write_text(filelist.dump(made.files), "utf-8", "surrogateescape")
    size = sum(entry.size for entry in made.files)
    return Composed(made.tree, listed, request.lock_digest, request.target, len(made.files), size)


def command(build: Composed, root: str) -> list[str]:
    arguments = [root, CHANNEL, build.target, build.digest, build.tree, build.listed]
    return [sys.executable, str(TAIL), *map(str, arguments)]


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parent.parent)}


def run_tail(guest: Guest, client: Any, build: Composed, root: str) -> Run:
    before = guest.rpcs(client)
    done = guest.run(client, command(build, root), env=environment(), timeout=3600, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return summary(lines, guest.rpcs(client) - before)


def summary(lines: list[dict[str, Any]], rpcs: Rpcs) -> Run:
    copy = [line for line in lines if line.get("step") == "copy"]
    first, last = copy[0], copy[-1]
    return Run(
        lines[-1]["at"] - lines[0]["at"],
        rpcs,
        last["at"] - first["at"],
        Rpcs.from_json(last["rpcs"]) - Rpcs.from_json(first["rpcs"]),
        lines,
    )


def run_killed(guest: Guest, build: Composed, root: str) -> tuple[Rpcs, float]:
    """Start a sync and SIGKILL it when its copy is at 80 % of the bytes; what it cost, and how far it was, 0 to 1."""
    before = guest.rpcs("a")
    process = guest.start("a", command(build, root), env=environment())
    share = 0.0
    while share < KILL_AT:
        if process.poll() is not None:
            raise SystemExit(f"the sync ended before it could be killed:\n{process.stdout}{process.stderr}")
        time.sleep(0.05)
        lines = [json.loads(line) for line in process.stdout.split("\n")[:-1]]
        shares = [line["done"] / line["total"] for line in lines if line.get("step") == "copy" and line.get("total")]
        share = shares[-1] if shares else 0.0
    guest.kill_programs()
    return guest.rpcs("a") - before, share


def baseline(wanted: tuple[str, ...], folder: Path) -> Path:
    """What people do today: install into a local folder, with bytecode."""
    target = folder / "installed"
    uv_install(wanted, target)
    return target


def uv_install(wanted: tuple[str, ...], target: Path) -> None:
    install = [
        TOOLS / "uv",
        "pip",
        "install",
        "-q",
        "--python",
        sys.executable,
        "--target",
        target,
        "--compile-bytecode",
    ]
    subprocess.run([str(word) for word in (*install, *wanted)], check=True)


def native(wanted: tuple[str, ...], rounds: int) -> dict[str, float]:
    """Median seconds of uv and of `efsprov sync`, from warm caches, onto this machine's own disk; `-cpu`: of processors."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))  # where the caches are: linking is possible
    seconds: dict[str, list[float]] = {"uv": [], "efsprov": []}
    busy: dict[str, list[float]] = {"uv": [], "efsprov": []}
    with tempfile.TemporaryDirectory(prefix="bench-sync-", dir=base) as name:
        folder = Path(name)
        listed = folder / "requirements.txt"
        listed.write_text("".join(f"{requirement}\n" for requirement in wanted), "utf-8")
        for number in range(rounds + 1):  # the first warms the caches and is not counted
            for who, times in seconds.items():
                target = folder / who
                os.sync()
                began, before = time.perf_counter(), os.times()
                if who == "uv":
                    uv_install(wanted, target)
                else:
                    sync = [TOOLS / "efsprov", "sync", "--root", target, "--runtime", RUNTIME, "--channel", CHANNEL]
                    argv = [str(word) for word in (*sync, "-r", listed)]
                    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                took, after = time.perf_counter() - began, os.times()
                shutil.rmtree(target)
                if number:
                    times.append(took)
                    busy[who].append(sum(after[2:4]) - sum(before[2:4]))
    return {who: statistics.median(measured) for who, measured in seconds.items()} | {
        f"{who}-cpu": statistics.median(measured) for who, measured in busy.items()
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    old, new = requirements(options.requirement, options.changing)
    found: dict[str, Any] = {
        "requirement": options.requirement,
        "changing": options.changing,
        "delay_ms": options.delay,
    }
    if options.rounds:
        found["native"] = native(old, options.rounds)
    with composed(old) as first, composed(new) as second, tempfile.TemporaryDirectory(prefix="bench-sync-") as name:
        size = first.bytes / 1e9
        found |= {"files": first.files, "bytes": first.bytes}
        with Guest(
            delay_ms=options.delay,
            memory_mb=4096,
            disk_gb=int(8 + 4 * size),
            seconds=4 * 3600,
            server_on=options.server_on,
        ) as guest:
            guest.run("server", AS_ON_A_BUILDER, check=True)
            runs = {"first": run_tail(guest, "a", first, f"{MOUNTS['a']}/root")}
            guest.remount("a")  # the next builder is another machine, with nothing in its caches
            runs["second"] = run_tail(guest, "a", second, f"{MOUNTS['a']}/root")
            killed, share = run_killed(guest, first, f"{MOUNTS['a']}/other")
            runs["resumed"] = run_tail(guest, "b", first, f"{MOUNTS['b']}/other")
            if options.copytree:
                found["copytree"] = copytree(guest, baseline(old, Path(name)))
    again = killed.write_bytes + runs["resumed"].rpcs.write_bytes - runs["first"].rpcs.write_bytes
    found["resume"] = {"killed_at": share, "bytes_again": max(0, again), "bytes_before": killed.write_bytes}
    for name, run in runs.items():
        found[name] = {
            "wall": run.wall,
            "rpcs": run.rpcs.as_json(),
            "copy_wall": run.copy_wall,
            "copy_rpcs": run.copy_rpcs.as_json(),
            "linked_bytes": run.value("linked_bytes"),
            "memory_mb": run.value("peak") / 1024,
            "copy_memory_mb": (run.value("peak") - run.value("before")) / 1024,
        }
    return found


def copytree(guest: Guest, tree: Path) -> dict[str, Any]:
    """Copy an installed tree to the mount; the cost of its files, scaled to nothing."""
    files = sum(len(names) for _, _, names in os.walk(tree))
    before = guest.rpcs("a")
    began = time.monotonic()
    argv = [sys.executable, "-c", COPYTREE, str(tree), f"{MOUNTS['a']}/copytree"]
    guest.run("a", argv, timeout=2 * 3600, check=True)
    wall = time.monotonic() - began
    return {"files": files, "wall": wall, "rpcs": (guest.rpcs("a") - before).as_json()}


@dataclass(frozen=True)
class Row:
    """One line of the table. ``bar`` and ``aim`` are the most that ``value`` may be; None where nothing is asked for."""

    what: str
    value: float
    form: str
    bar: float | None = None
    aim: float | None = None
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        """What is printed of it: the row's name, as measured, bar, aim, and whether it holds."""
        value = ["" if number is None else self.form.format(number) for number in (self.bar, self.aim)]
        if self.bar is None:
            holds = ""
        elif self.aim is not None and self.value <= self.aim:
            holds = "yes, and the aim"
        else:
            holds = "yes" if self.value <= self.bar else "NO"
        return self.what, self.form.format(self.value) + (f" ({self.remark})" if self.remark else ""), *value, holds


def table(found: dict[str, Any]) -> list[Row]:
    """What was measured beside what was asked for."""
    first, second, files = found["first"], found["second"], found["files"]

    def share(value: Callable[[dict[str, Any]], float]) -> float:
        return 100 * value(second) / value(first)

    rows = [Row("first sync, RPCs per file written", first["rpcs"]["total"] / files, "{:.2f}", 4.5, 3.5)]
    if "copytree" in found:
        base = found["copytree"]
        ours, theirs = first["copy_wall"] / files, base["wall"] / base["files"]
        remark = f"1/{theirs / ours:.1f}: {first['copy_wall']:.0f} s, {base['wall']:.0f} s"
        what = f"wall of the copy of a file at {found['delay_ms']:g} ms, of copytree's"
        rows.append(Row(what, 100 * ours / theirs, "{:.1f} %", 12.5, 5, remark))
        rows.append(Row("  copytree, RPCs per file", base["rpcs"]["total"] / base["files"], "{:.2f}"))
    resume = found["resume"]
    rows += [
        Row("second sync, bytes written, of the first's", share(lambda r: r["rpcs"]["write_bytes"]), "{:.1f} %", 3, 1),
        Row("second sync, RPCs, of the first's", share(lambda r: r["rpcs"]["total"]), "{:.1f} %", 35, 25),
        Row("  RPCs per file", second["rpcs"]["total"] / files, "{:.2f}"),
        Row(
            *("second sync, wall, of the first's", share(lambda r: r["wall"]), "{:.1f} %", 35, 20),
            remark=f"{second['wall']:.0f} s, {first['wall']:.0f} s",
        ),
        Row(
            f"resumed at {100 * resume['killed_at']:.0f} % elsewhere, bytes written again",
            *(100 * resume["bytes_again"] / resume["bytes_before"], "{:.1f} %", 5, 0),
        ),
        Row("memory of the copy", first["copy_memory_mb"], "{:.0f} MB", 300, 150),
    ]
    if "native" in found:
        times = found["native"]
        remark = f"{times['efsprov']:.1f} s, {times['uv']:.1f} s"
        what = "local disk, warm cache: sync, of uv --compile-bytecode"
        rows.append(Row(what, times["efsprov"] / times["uv"], "{:.2f} x", 1.5, 1.1, remark))
        remark = f"{times['efsprov-cpu']:.1f} s, {times['uv-cpu']:.1f} s"
        rows.append(Row("  processor seconds", times["efsprov-cpu"] / times["uv-cpu"], "{:.2f} x", remark=remark))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default="tensorflow==2.15")
    parser.add_argument("--changing", default="six==1.16.0,1.17.0", help="a small package, and its two versions")
    parser.add_argument("--delay", type=float, default=3.0, help="milliseconds added to each round trip")
    parser.add_argument("--rounds", type=int, default=3, help="of the local measurement; 0 leaves it out")
    parser.add_argument("--no-copytree", dest="copytree", action="store_false")
    parser.add_argument("--server-on", choices=("guest", "host"), default=best_place_for_server())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['requirement']}: {found['files']} files, {found['bytes'] / 1e6:.0f} MB, {os.cpu_count()} processors")
    rows = [("", "measured", "bar", "aim", "holds"), *(row.cells() for row in table(found))]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name in ("first", "second"):
        print(f"{name}: {found[name]['rpcs']['ops']}")


if __name__ == "__main__":
    main()
