"""Measures `efsprov sync` of a framework from a warm cache beside what people do today, in one run, on a local disk.

usage: python benchmarks/bench_install.py [REQUIREMENT] [--rounds N] [--json]

Each round runs, one after another: `uv pip install --target --compile-bytecode`, `pip install --target`, and
`efsprov sync` (which also resolves, checks every file against its RECORD, compiles, imports, indexes and publishes).
Caches are warmed first. The ratio of the medians is what counts: machines differ, and are noisy.
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
from collections.abc import Callable
from pathlib import Path

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
BARS = {"uv": 1.3, "pip": 1 / 3}


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def contestants(requirement: str, folder: Path) -> dict[str, Callable[[Path], None]]:
    tools = Path(sys.executable).parent
    locked = folder / "requirements.txt"
    run(tools / "uv", "pip", "compile", "-q", "--python-version", RUNTIME.removeprefix("python"), "--generate-hashes",
        "--only-binary", ":all:", "-o", locked, write(folder / "requirements.in", requirement))  # fmt: skip

    def uv(target: Path) -> None:
        run(tools / "uv", "pip", "install", "-q", "--target", target, "--compile-bytecode", "-r", locked)

    def pip(target: Path) -> None:
        run(sys.executable, "-m", "pip", "install", "-q", "--target", target, "-r", locked)

    def efsprov(target: Path) -> None:
        run(tools / "efsprov", "sync", "--root", target, "--framework", requirement, "--runtime", RUNTIME)

    return {"uv": uv, "pip": pip, "efsprov": efsprov}


def write(path: Path, text: str) -> Path:
    path.write_text(f"{text}\n", "utf-8")
    return path


def measure(requirement: str, rounds: int) -> dict[str, list[float]]:
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))  # where the caches are: linking is possible
    base.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-install-", dir=base) as name:
        folder = Path(name)
        runners = contestants(requirement, folder)
        for number in range(rounds + 1):  # the first warms the caches and is not counted
            for who, install in runners.items():
                target = folder / who
                os.sync()
                began = time.perf_counter()
                install(target)
                took = time.perf_counter() - began
                shutil.rmtree(target)
                if number:
                    seconds.setdefault(who, []).append(took)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default="tensorflow==2.15")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds = measure(options.requirement, options.rounds)
    medians = {who: statistics.median(times) for who, times in seconds.items()}
    ratios = {who: medians["efsprov"] / medians[who] for who in BARS}
    if options.json:
        print(json.dumps({"seconds": seconds, "medians": medians, "ratios": ratios, "bars": BARS}))
        return
    print(f"{options.requirement}, {options.rounds} rounds, warm caches, local disk")
    for who, times in seconds.items():
        print(f"  {who:<8} median {medians[who]:6.1f} s   {' '.join(f'{t:.1f}' for t in times)}")
    for who, ratio in ratios.items():
        print(f"  efsprov / {who:<4} {ratio:5.2f}   bar {BARS[who]:.2f}   {'held' if ratio <= BARS[who] else 'MISSED'}")


if __name__ == "__main__":
    main()
