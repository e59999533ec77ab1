"""A process that imports from its release for as long as it lives, whatever becomes of the release meanwhile."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from efsprov.core.retention import Rules
from efsprov.store.current import read_current
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import rollback
from efsprov.store.verify import check_channel, check_release
from tests.store.minisync import NAME, TARGET, build, sync

MODULES = 40
PROGRAM = """
import importlib, sys
import efsprov.bootstrap as shim
import framework
print(shim.releases["framework"].id, flush=True)
for line in sys.stdin:
    module = importlib.import_module(f"framework.lazy_{line.strip()}")
    print(module.VALUE, module.__file__.startswith(shim.releases["framework"].site), flush=True)
"""


@pytest.fixture
def builds(tmp_path):
    return [build(tmp_path / "builds", number, modules=MODULES) for number in range(12)]


@pytest.fixture
def start(channel):
    """Starts a process that imports one module more whenever it is asked."""
    running = []

    def go():
        process = subprocess.Popen(
            [sys.executable, "-B", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={
                **os.environ,
                "EFSPROV_ROOT": str(channel.root.path),
                "EFSPROV_CHANNEL": NAME,
                "EFSPROV_TARGET": TARGET,
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        running.append(process)
        return process, process.stdout.readline().strip()

    yield go
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_it_never_fails_though_the_release_is_rolled_back_superseded_and_pruned_around(channel, builds, start):
    sync(channel, builds[0])
    mine = sync(channel, builds[1])
    process, pinned = start()
    assert pinned == mine
    modules = iter(range(MODULES))

    def imports_on():
        number = next(modules)
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"(1, {number}) True\n"

    imports_on()
    rollback(channel)
    imports_on()
    for built in builds[2:]:  # more than what is kept as the last ones
        sync(channel, built)
        imports_on()
        execute_prune(channel, plan_prune(channel, Rules(keep_last=1)))
        imports_on()
    assert read_current(channel) != mine
    assert mine in channel.release_ids()
    for _ in modules:
        imports_on()
    assert "Error" not in process.communicate("")[1]
    assert process.returncode == 0
    assert check_release(channel, mine, full=True) == ()
    assert check_channel(channel) == ()


def test_the_grace_is_what_keeps_it(channel, builds, start):
    """Without one the same process fails: so it would above."""
    sync(channel, builds[0])
    process, _ = start()
    for built in builds[1:3]:
        sync(channel, built)
    execute_prune(channel, plan_prune(channel, Rules(keep_last=1, grace=timedelta(0))))
    assert "ModuleNotFoundError" in process.communicate("0\n")[1]
