"""Five gigabytes of model onto a real NFS mount: killed in the middle, gone on with, and held against its hashes."""

import json
import sys
import time
from pathlib import Path

import pytest

from devtools.nfs_lab import Guest
from devtools.nfs_lab.availability import require
from devtools.nfs_lab.guest import SCRATCH

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("lab")]
HERE = Path(__file__).parent
SHARDS = [512 << 20] * 10
TOTAL = sum(SHARDS)
WHOLE = TOTAL // 2  # so much is whole when it is killed
MOST_MEMORY_KB = 300 * 1024
SLACK = 16 << 20  # manifests, the index, notes
NOTED = (
    "cat /mnt/export/root/models/big/staging/*.copied 2>/dev/null | "
    # awk's own way to print numbers above 2^31 is 2.14748e+09 in mawk, which Debian has.
    """awk '/safetensors/ {sum += $4} END {printf "%.0f", sum}'"""
)
VERIFY = "from efsprov.cli.main import main; import sys; main(sys.argv[1:])"


@pytest.fixture
def guest():
    require()
    with Guest(disk_gb=16, seconds=3600) as booted:
        yield booted


def test_five_gigabytes(guest):
    model = f"{SCRATCH}/model"
    make = [sys.executable, HERE / "big_model.py", model, *map(str, SHARDS)]
    guest.run("a", make, timeout=1200, check=True)
    environment = {
        "EFSPROV_CACHE": f"{SCRATCH}/cache",
        "EFSPROV_CONFIG": "",
        "PYTHONPATH": str(HERE.parents[1]),
    }
    peaks = [guest.results / "peak-killed", guest.results / "peak-resumed"]

    def push(peak: Path) -> list[str]:
        return [
            sys.executable,
            str(HERE / "push_measured.py"),
            str(peak),
            "big",
            model,
            "--root",
            "/mnt/a/root",
            "--json",
        ]

    def noted() -> int:
        return int(guest.run("server", ["bash", "-c", NOTED], check=True).stdout)

    pushing = guest.start("a", push(peaks[0]), env=environment)
    until = time.monotonic() + 1800
    while noted() < WHOLE:
        assert time.monotonic() < until
        assert pushing.poll() is None, pushing.stderr
        time.sleep(0.5)
    guest.kill_programs()
    whole = noted()
    before, began = guest.rpcs("a"), time.monotonic()
    pushed = json.loads(guest.run("a", push(peaks[1]), env=environment, timeout=1800, check=True).stdout)
    spent, seconds = guest.rpcs("a") - before, time.monotonic() - began
    guest.remount("b")
    verify = [sys.executable, "-c", VERIFY, "model", "verify", "big", "--root", "/mnt/b/root", "--json"]
    verified = json.loads(guest.run("b", verify, env=environment, timeout=1800, check=True).stdout)
    left = guest.run("a", ["ls", f"{SCRATCH}/cache/scratch"], check=True).stdout
    result = {
        "total_bytes": TOTAL,
        "peak_memory_kb": [int(peak.read_text()) for peak in peaks],
        "whole_when_killed": whole,
        "resumed": {"seconds": round(seconds, 1), "written_bytes": spent.write_bytes, "rpcs": spent.total},
        "took": pushed["manifest"]["figures"]["seconds"],
    }
    print(json.dumps(result))
    assert verified == {"checked": [pushed["release"]], "full": True, "repaired": [], "findings": []}
    assert pushed["manifest"]["figures"]["bytes"] > TOTAL
    assert max(result["peak_memory_kb"]) < MOST_MEMORY_KB
    assert WHOLE <= whole < TOTAL
    assert spent.write_bytes < TOTAL - whole + SLACK  # what was whole when the first one died was not written again
    assert left == ""
