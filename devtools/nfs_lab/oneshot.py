"""One program in a guest of its own: boot, run, collect, gone."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.nfs_lab.guest import MOUNT_OPTIONS, Client, Guest, Where
from devtools.nfs_lab.mountstats import Rpcs
from devtools.nfs_lab.programs import Completed


@dataclass(frozen=True)
class Outcome:
    """What came of a program: its output and exit code, its result files, and both clients' RPCs from its start on.

    ``results`` holds the JSON files that it wrote into $RESULTS, by file name without ".json".
    A client that the program mounted again counts from there.
    """

    completed: Completed
    results: Mapping[str, Any]
    rpcs: Mapping[Client, Rpcs]


def run_once(
    program: Path | Sequence[str],
    *,
    where: Where = "server",
    env: Mapping[str, str] | None = None,
    delay_ms: float = 0,
    seed: str | Path | None = None,
    seconds: float = 300,
    memory_mb: int = 2048,
    disk_gb: int = 8,
    mount_options: str = MOUNT_OPTIONS,
    keep_results: Path | None = None,
) -> Outcome:
    """Boot a guest, run ``program`` in it, and return what came of it.

    ``program`` is a script (a path ending in ".py" is run by this Python, any other by bash) or an argument list. It finds
    the mounts as $A and $B, the server's side as $EXPORT, a folder for results as $RESULTS, and the lab's commands on its
    PATH: ``on_a CMD``, ``on_b CMD``, ``remount a [OPTIONS]``, ``rpcs a``, ``delay MS``, ``drop_caches`` and the faults.
    ``keep_results`` is a folder that $RESULTS is copied to. Raises LabError when the lab fails or the time is up.
    """
    with Guest(
        delay_ms=delay_ms,
        seed=seed,
        memory_mb=memory_mb,
        disk_gb=disk_gb,
        mount_options=mount_options,
        seconds=seconds + 120,
    ) as guest:
        completed = guest.run(where, _argv(program), env=env, timeout=seconds)
        rpcs: dict[Client, Rpcs] = {"a": guest.rpcs("a"), "b": guest.rpcs("b")}
        results = {path.stem: json.loads(path.read_bytes()) for path in sorted(guest.results.glob("*.json"))}
        if keep_results is not None:
            shutil.copytree(guest.results, keep_results, dirs_exist_ok=True)
    return Outcome(completed, results, rpcs)


def _argv(program: Path | Sequence[str]) -> list[str]:
    if not isinstance(program, Path):
        return [os.fspath(word) for word in program]
    return [sys.executable if program.suffix == ".py" else "/bin/bash", str(program.resolve())]
