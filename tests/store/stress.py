"""Random operations by several processes on one root, held against a simple model of the journal.

    python -m tests.store.stress --seconds 600 [--processes 4] [--seed N] [--kills] [--root DIR]

Each process writes down what it is about to do, with every transaction id that it draws, and what came of it. In the end
the journal is replayed through the model, which knows nothing of the store's own code: every entry must have been lawful
where it stands and belong to an operation, every operation must have told the truth, and the root must hold what the
model says. With --kills processes are killed now and then; what they were doing may have happened or not.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from efsprov.core.errors import EfsprovError
from efsprov.core.retention import Rules
from efsprov.store.current import read_current
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, mark, rollback
from efsprov.store.repair import repair
from efsprov.store.verify import check_channel, check_release
from tests.store.faulty_ops import FaultyOps
from tests.store.journal_model import Done, check
from tests.store.minisync import Build, build, open_channel, sync

HERE = Path(__file__).parents[2]
LOCKS = 8
KILLED = 0.03  # of the operations, the process that has begun them
WEIGHTS = {
    "sync": 4,
    "publish": 1,
    "activate": 3,
    "rollback": 3,
    "rollback-to": 2,
    "mark-bad": 1,
    "mark-good": 2,
    "pin": 1,
    "unpin": 2,
    "prune": 2,
    "repair": 1,
    "read": 6,
}


class Worker:
    """One process's random operations, drawn from ``seed``; what it does goes to ``log``."""

    def __init__(self, root: Path, builds: list[Build], log: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._builds = builds
        self._log = log.open("a")
        self._txs = 0
        self._tag = f"{seed:08x}"
        self._channel = open_channel(root, ops=FaultyOps(), by=f"worker-{seed}", new_tx=self._new_tx)

    def run(self, seconds: float, operations: int) -> None:
        until, begun = time.monotonic() + seconds, 0
        names, weights = zip(*WEIGHTS.items(), strict=True)
        while time.monotonic() < until and (operations == 0 or begun < operations):
            begun += 1
            (name,) = self._chance.choices(names, weights)
            self._write(began=name)
            try:
                result = self._do(name)
            except EfsprovError as error:
                self._write(error=type(error).__name__, message=str(error))
            else:
                self._write(result=result)

    def _do(self, name: str) -> Any:
        channel = self._channel
        match name:
            case "sync" | "publish":
                again = self._chance.random() < 0.5
                return sync(channel, self._chance.choice(self._builds), activate=name == "sync", again=again)
            case "rollback":
                return rollback(channel)
            case "prune":
                rules = Rules(keep_last=self._chance.randint(1, 3), grace=timedelta(0))
                return execute_prune(channel, plan_prune(channel, rules)).pruned
            case "repair":
                return repair(channel)
            case "read":
                return self._read(channel)
        known = sorted(read_state(channel).releases)
        if not known:
            return None
        release = self._chance.choice(known[-6:])
        if name == "activate":
            return [activate(channel, release), release]
        if name == "rollback-to":
            return rollback(channel, to=release)
        mark(channel, name, release)  # type: ignore[arg-type]
        return release

    def _read(self, channel: Channel) -> str | None:
        """As the shim does; nothing is kept for a reader's sake here, so what was pruned meanwhile may be gone."""
        release = read_current(channel)
        if release is not None:
            for finding in check_release(channel, release, full=True):
                if not read_state(channel).releases[release].pruned:
                    raise AssertionError(finding)
        return release

    def _new_tx(self) -> str:
        self._txs += 1
        tx = f"{self._tag}{self._txs:08x}"
        self._write(tx=tx)
        return tx

    def _write(self, **what: Any) -> None:
        self._log.write(json.dumps(what) + "\n")
        self._log.flush()


def read_log(log: Path) -> list[Done]:
    """The operations of one process: the last may lack an end, when it was killed."""
    done: list[Done] = []
    for line in log.read_text().splitlines():
        record = json.loads(line)
        if "began" in record:
            done.append(Done(record["began"]))
        elif "tx" in record:
            done[-1].txs.add(record["tx"])
        else:
            done[-1].end(record)
    return done


class Life:
    """A process of random operations, and how many it has begun."""

    def __init__(self, root: Path, seed: int, until: float, operations: int) -> None:
        self.log = root.parent / f"log-{seed}"
        self._operations, self._read, self._begun = operations, 0, 0
        argv = ["--worker", self.log, "--root", root, "--seed", seed]
        argv += ["--seconds", until - time.monotonic(), "--operations", operations]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.stress", *(str(word) for word in argv)], cwd=HERE
        )

    def newly_begun(self) -> int:
        """How many operations it has begun since the last call."""
        if not self.log.exists():
            return 0
        with self.log.open("rb") as stream:
            stream.seek(self._read)
            text = stream.read()
        self._read += len(text)
        begun = text.count(b'{"began"')
        self._begun += begun
        return begun

    @property
    def left(self) -> int:
        """How many operations it still had to begin, 0 where there is no such number."""
        self.newly_begun()
        return max(0, self._operations - self._begun)


def run(
    root: Path, *, processes: int, seed: int, kills: bool, seconds: float = 3600, operations: int = 0
) -> tuple[list[str], dict[str, int]]:
    """Let the processes loose; return what did not hold, and how often what was done and with what end.

    They end after ``seconds``, or when as many as ``processes`` have done ``operations`` each (0: no matter how many).
    """
    builds = [build(root.parent / "builds", number) for number in range(1, LOCKS + 1)]
    chance, until = random.Random(seed), time.monotonic() + seconds
    lives = [Life(root, seed * 1000 + number, until, operations) for number in range(processes)]
    logs = [life.log for life in lives]
    problems: list[str] = []
    while lives:
        time.sleep(0.05)
        for life in lives[:]:
            # Kills go by operations and not by time: else no life would come to its end on a slow machine.
            if kills and chance.random() < KILLED * life.newly_begun():
                life.process.send_signal(signal.SIGKILL)
                life.process.wait()
            if life.process.poll() is None:
                continue
            lives.remove(life)
            if life.process.returncode not in {0, -signal.SIGKILL}:
                problems.append(f"{life.log.name} ended with {life.process.returncode}")
            elif life.process.returncode and (operations == 0 or life.left > 0) and time.monotonic() < until:
                lives.append(Life(root, seed * 1000 + len(logs), until, life.left))
                logs.append(lives[-1].log)
    done = [one for log in logs if log.exists() for one in read_log(log)]
    return problems + judge(root, builds, done), _counts(done)


def judge(root: Path, builds: list[Build], done: list[Done]) -> list[str]:
    """Replay the journal through the model, and look whether the root is what the model says, after one more sync."""
    for release in read_state(open_channel(root)).releases.values():
        if release.bad is not None:
            done = [*done, Done("mark-good")]
            mark(open_channel(root, new_tx=done[-1].new_tx), "mark-good", release.id)
            done[-1].end({"result": release.id})
    last = Done("sync")
    channel = open_channel(root, new_tx=last.new_tx)
    last.end({"result": sync(channel, builds[0], again=True)})
    problems, model = check(channel.journal, [*done, last])
    state = read_state(channel)
    if read_current(channel) != model.current:
        problems.append(f"current is {read_current(channel)}, {model.current} in the model")
    if {*channel.release_ids()} != model.live or {r.id for r in state.live} != model.live:
        problems.append(f"the releases are {channel.release_ids()}, {sorted(model.live)} in the model")
    problems += [str(finding) for finding in check_channel(channel)]
    for release in channel.release_ids():
        problems += [str(finding) for finding in check_release(channel, release, full=True)]
    return problems


def _counts(done: list[Done]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in done:
        name = f"{one.name}: {one.error or ('done' if one.ended else 'killed')}"
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--operations", type=int, default=0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10_000)
    if options.worker:
        builds = [build(options.worker.parent / f"{options.worker.name}.builds", n) for n in range(1, LOCKS + 1)]
        Worker(options.root, builds, options.worker, seed).run(options.seconds, options.operations)
        return 0
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="efsprov-stress-", dir=options.root or fast) as folder:
        problems, counts = run(
            Path(folder) / "root",
            seconds=options.seconds,
            operations=options.operations,
            processes=options.processes,
            seed=seed,
            kills=options.kills,
        )
    print(
        json.dumps({"seed": seed, "operations": sum(counts.values()), "counts": counts, "problems": problems}, indent=1)
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
