"""Measures bundles: what a push sends, what a pull onto NFS takes beside the part of a sync that touches the root.

usage: python benchmarks/bench_bundle.py [REQUIREMENT] [--changing NAME==OLD,NEW] [--delay MS] [--rounds N] [--json]

Two releases are built on this machine that differ in one small package, and pushed into one folder. Then, on an NFSv4.1
client of the lab with a delay added to every round trip, each round places the first release twice on an empty root: by
`bundle pull` from that folder, and by the last steps of a sync, from the lock to the activation, whose tree is composed
already (a whole sync from warm caches takes longer). The times' ratio is told, by rounds; RPCs are the client's counters.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench_sync import AS_ON_A_BUILDER, RUNTIME, TOOLS, Composed, environment, requirements, run_tail
from devtools.nfs_lab import MOUNTS, Guest, best_place_for_server

PULL = Path(__file__).with_name("pull_tail.py")
CHANNEL = "bench"


def efsprov(*arguments: object) -> dict[str, Any]:
    command = [str(word) for word in (TOOLS / "efsprov", *arguments, "--json")]
    done: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return done


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-bundle-") as name:
        folder = Path(name)
        (folder / "root").mkdir()
        pushed = []
        for wanted in requirements(options.requirement, options.changing):
            sync = ("sync", "--root", folder / "root", "--runtime", RUNTIME, "--channel", CHANNEL, *wanted)
            efsprov(*sync)
            pushed.append(efsprov("bundle", "push", CHANNEL, f"oci:{folder / 'oci'}", "--root", folder / "root"))
        first = efsprov("show", pushed[0]["release"], "--root", folder / "root")
        release, manifest = Path(first["path"]), first["manifest"]
        figures, target, digest = manifest["figures"], manifest["target"], manifest["lock_digest"]
        tree = Composed(release, release / "files.list", digest, target, figures["files"], figures["bytes"])
        return {
            "requirement": options.requirement,
            "delay_ms": options.delay,
            "files": tree.files,
            "bytes": tree.bytes,
            "layers": pushed[0]["layers"],
            "sent": [one["sent_bytes"] for one in pushed],
            "rounds": rounds(options, folder / "oci", pushed[0]["name"], tree),
        }


def rounds(options: argparse.Namespace, oci: Path, name: str, tree: Composed) -> list[dict[str, Any]]:
    found = []
    disk = int(8 + 2 * options.rounds * tree.bytes / 1e9 * 1.2)
    with Guest(
        delay_ms=options.delay, memory_mb=4096, disk_gb=disk, seconds=4 * 3600, server_on=options.server_on
    ) as guest:
        guest.run("server", AS_ON_A_BUILDER, check=True)
        for number in range(options.rounds):
            guest.remount("a")
            before = guest.rpcs("a")
            argv = [sys.executable, str(PULL), f"{MOUNTS['a']}/pull{number}", str(oci), name]
            done = guest.run("a", argv, env=environment(), timeout=3600, check=True)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            pull = {"wall": lines[-1]["at"] - lines[0]["at"], "rpcs": (guest.rpcs("a") - before).total}
            guest.remount("a")
            sync = run_tail(guest, "a", tree, f"{MOUNTS['a']}/sync{number}")
            found.append(
                {
                    "pull": pull | {"memory_mb": lines[-1]["peak"] / 1024},
                    "sync": {"wall": sync.wall, "rpcs": sync.rpcs.total},
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default="tensorflow==2.15")
    parser.add_argument("--changing", default="six==1.16.0,1.17.0", help="a small package, and its two versions")
    parser.add_argument("--delay", type=float, default=3.0, help="milliseconds added to each round trip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server-on", choices=("guest", "host"), default=best_place_for_server())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['requirement']}: {found['files']} files, {found['bytes'] / 1e6:.0f} MB, {found['layers']} layers")
    share = 100 * found["sent"][1] / found["sent"][0]
    print(f"sent for another version of {options.changing.partition('=')[0]}: {share:.2f} %  (bar 3, aim 1)")
    ratios = [one["pull"]["wall"] / one["sync"]["wall"] for one in found["rounds"]]
    for one, ratio in zip(found["rounds"], ratios, strict=True):
        print(
            f"pull {one['pull']['wall']:.1f} s, {one['pull']['rpcs']} RPCs, {one['pull']['memory_mb']:.0f} MB; "
            f"sync's last steps {one['sync']['wall']:.1f} s, {one['sync']['rpcs']} RPCs: {ratio:.2f} x"
        )
    print(
        f"pull, of sync's last steps at {found['delay_ms']:g} ms: {statistics.median(ratios):.2f} x  (bar 1.0, aim 0.7)"
    )


if __name__ == "__main__":
    main()
