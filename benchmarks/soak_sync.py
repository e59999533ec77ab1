"""Syncs a framework again and again beside an installer that is busy on the same disk, and counts how each sync ends.

usage: python benchmarks/soak_sync.py [REQUIREMENT] [--syncs N] [--json]

`uv pip install --target` of the same requirement runs in a loop meanwhile, with its cache, its target and the roots on one
disk: files appear, are hardlinked and are removed all the time. Every odd sync goes to a new root and must publish a
release; every even one goes to the same root again and must change nothing. It ends with 1 if any sync ends otherwise.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
TOOLS = Path(sys.executable).parent


class BusyInstaller(threading.Thread):
    """Installs and removes in a loop, until it is stopped; ``rounds`` counts what it did."""

    def __init__(self, requirement: str, folder: Path) -> None:
        super().__init__(daemon=True)
        self.command = [str(TOOLS / "uv"), "pip", "install", "-q", "--python-version", RUNTIME.removeprefix("python"),
                        "--only-binary", ":all:", "--target", str(folder / "busy"), requirement]  # fmt: skip
        self.target, self.rounds, self.stopped = folder / "busy", 0, threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            subprocess.run(self.command, check=True, capture_output=True)
            shutil.rmtree(self.target)
            self.rounds += 1


def outcome(requirement: str, root: Path) -> str:
    """Return how one sync ends: its outcome, or its exit code and last line."""
    command = [str(TOOLS / "efsprov"), "sync", "--root", str(root), "--framework", requirement, "--runtime", RUNTIME]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"exit code {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}"
    return str(json.loads(done.stdout)["result"]["outcome"])


def soak(requirement: str, syncs: int) -> tuple[Counter[str], int]:
    """Run the syncs; return how many ended how ("new root: published"), and what the busy installer did."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    base.mkdir(parents=True, exist_ok=True)
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="soak-sync-", dir=base) as name:
        busy = BusyInstaller(requirement, Path(name))
        busy.start()
        for number in range(syncs):
            root, again = Path(name, "root"), number % 2 == 1
            if not again and root.exists():
                shutil.rmtree(root)
            ended = f"{'same' if again else 'new'} root: {outcome(requirement, root)}"
            ends[ended] += 1
            print(f"{number + 1}/{syncs} {ended}", file=sys.stderr, flush=True)
        busy.stopped.set()
        busy.join()
    return ends, busy.rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default="tensorflow==2.15")
    parser.add_argument("--syncs", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ends, rounds = soak(options.requirement, options.syncs)
    expected = {"new root: published": (options.syncs + 1) // 2, "same root: unchanged": options.syncs // 2}
    held = ends == Counter({end: count for end, count in expected.items() if count})
    if options.json:
        print(json.dumps({"syncs": options.syncs, "ends": ends, "installs_beside": rounds, "held": held}))
    else:
        print(f"{options.requirement}, {options.syncs} syncs beside {rounds} installs by uv on the same disk")
        for end, count in sorted(ends.items()):
            print(f"  {count:4} {end}")
        print(f"  {'held' if held else 'MISSED'}: every new root gets a release, the same root again changes nothing")
    sys.exit(not held)


if __name__ == "__main__":
    main()
