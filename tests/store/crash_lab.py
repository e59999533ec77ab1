"""Runs a program of `crash_programs` once for each mutating call and kind of fault, each time in a process of its own.

    python -m tests.store.crash_lab PROGRAM FAULT...

A process that has everything imported and no threads is forked for each case, so that hundreds run in seconds. Prints
one JSON document: the calls of the undisturbed run, the number of cases, and what did not hold after which of them.
"""

import errno
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from efsprov.core.errors import EfsprovError
from efsprov.core.history import ACTIVATIONS
from efsprov.store.current import read_current
from efsprov.store.journal import read_entries, read_state
from efsprov.store.layout import Channel
from efsprov.store.publisher_lock import LOCK_FILE
from efsprov.store.repair import repair
from efsprov.store.verify import check_channel, check_release
from tests.store.crash_programs import PROGRAMS, Builds, builds_in
from tests.store.faulty_ops import NAME_CALLS, Fault, FaultyOps
from tests.store.minisync import NAME, TARGET, open_channel, sync
from tests.store.mutants import MUTANTS

ALL = PROGRAMS | MUTANTS
FAULTS: dict[str, tuple[str, int]] = {
    "kill-before": ("kill-before", 0),
    "kill-after": ("kill-after", 0),
    **{f"error-{name}": ("error", getattr(errno, name)) for name in ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES")},
    **{f"from-then-on-{name}": ("errors-from-then-on", getattr(errno, name)) for name in ("EIO", "EROFS")},
    **{f"lost-reply-{name}": ("lost-reply", getattr(errno, name)) for name in ("ENOENT", "EEXIST", "EIO")},
}


def main(program_name: str, *fault_names: str) -> None:
    sys.dont_write_bytecode = True  # importing from a release must not add to it
    gc.disable()  # a collection in a child would copy every page that the parent shares with it
    program = ALL[program_name]
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="efsprov-crash-", dir=fast) as name:
        folder = Path(name)
        builds = builds_in(folder)
        program.start(open_channel(folder / "template", ops=FaultyOps()), builds)
        before = _snapshot(folder / "template")
        counted = FaultyOps()
        root = _fresh_root(folder)
        program.run(open_channel(root, ops=counted), builds)
        problems, cases = [], 0
        for fault_name in fault_names:
            kind, code = FAULTS[fault_name]
            for at in range(1, len(counted.calls) + 1):
                case = _Case(program_name, Fault(kind, at, code), _fresh_root(folder), builds, before)
                problems += [
                    f"{fault_name} at call {at} ({case.call or counted.calls[at - 1]}): {p}" for p in case.run()
                ]
                cases += 1
    print(json.dumps({"calls": counted.calls, "cases": cases, "problems": problems}))


class _Case:
    def __init__(self, program: str, fault: Fault, root: Path, builds: Builds, before: dict[str, str]) -> None:
        self.call = ""
        self._program, self._fault, self._root, self._builds, self._before = program, fault, root, builds, before

    def run(self) -> list[str]:
        entries = [entry.tx for entry in read_entries(open_channel(self._root))]
        outcome = _in_child(self._disturbed)
        self.call = outcome.get("call", "")
        problems = list(self._check_outcome(outcome))
        problems += _in_child(lambda: {"problems": self._check_readers(entries, outcome)}).get(
            "problems", ["checker died"]
        )
        problems += _in_child(lambda: {"problems": self._check_next()}).get("problems", ["the next command died"])
        return problems

    def _disturbed(self) -> dict[str, Any]:
        ops = FaultyOps(self._fault)
        try:
            ALL[self._program].run(open_channel(self._root, ops=ops), self._builds)
        except EfsprovError as error:
            return {"error": type(error).__name__, "message": str(error), "call": ops.calls[self._fault.at - 1]}
        return {"call": ops.calls[self._fault.at - 1] if len(ops.calls) >= self._fault.at else ""}

    def _check_outcome(self, outcome: dict[str, Any]) -> Iterator[str]:
        """A kill kills; an error ends in a message, never in a traceback; a lost reply of a name's call changes nothing."""
        kills = self._fault.kind.startswith("kill")
        if kills != (outcome.get("signal") == signal.SIGKILL):
            yield f"expected {'a kill' if kills else 'an end'}, got {outcome}"
        if "traceback" in outcome:
            yield outcome["traceback"]
        if self._fault.kind == "lost-reply" and self.call in NAME_CALLS and "error" in outcome:
            yield f"took its own success for a failure: {outcome['message']}"

    def _check_readers(self, entries: list[str], outcome: dict[str, Any]) -> list[str]:
        channel, problems = open_channel(self._root), []
        after = read_entries(channel)
        if [entry.tx for entry in after][: len(entries)] != entries:
            problems.append("the journal does not continue what it was")
        current = read_current(channel)  # raises when it points at nothing
        if current is None:
            if "current" in " ".join(self._before):
                problems.append("there is no current release any more")
        else:
            problems += [str(finding) for finding in check_release(channel, current, full=True)]
            if current not in {entry.release for entry in after if entry.do in ACTIVATIONS}:
                problems.append(f"current names {current}, which the journal never activated")
            problems += _import_from(self._root, current)
        if "error" in outcome:
            problems += self._check_orderly_failure(channel)
        return problems

    def _check_orderly_failure(self, channel: Channel) -> list[str]:
        """What failed before it published left the root as it was; what failed later left no staging."""
        if self._fault.kind == "errors-from-then-on":
            return []  # a file system that refuses everything cannot be cleaned either
        now = _snapshot(self._root)
        if self._program in {"first-sync", "sync"} and not {
            p for p in now.keys() - self._before.keys() if "/releases/" in p
        }:
            changed = sorted(p for p in now.keys() | self._before.keys() if now.get(p) != self._before.get(p))
            return [f"changed {path}" for path in changed]
        return [f"left {path}" for path in channel.staging.iterdir()] if self._program == "sync" else []

    def _check_next(self) -> list[str]:
        """The next command is, in turns, the same sync again, `verify --repair`, or another sync."""
        channel, problems = open_channel(self._root), []
        turn = self._fault.at % 3
        if turn == 1 and self._program in {"first-sync", "sync", "resumed-sync"}:
            again = ALL[self._program].run(channel, self._builds)
            problems += _unclean(channel)
            if read_state(channel).current != again:
                problems.append("the same sync again did not make its release current")
        elif turn and channel.exists:
            repair(channel)
            problems += _unclean(channel)
        last = sync(channel, self._builds[5])
        problems += _unclean(channel)
        if read_state(channel).current != last:
            problems.append("the next sync did not make its release current")
        return problems + _import_from(self._root, last)


def _unclean(channel: Channel) -> list[str]:
    """All that verify finds, and what lies around that it does not look at."""
    problems = [str(finding) for finding in check_channel(channel)]
    for release in read_state(channel).live:
        problems += [str(finding) for finding in check_release(channel, release.id, full=True)]
    around = {path.name for path in channel.root.path.iterdir()} - {"efsprov.json", "deps"}
    around |= {path.name for path in channel.path.iterdir()} - {"current", "journal", "releases", "staging", "trash"}
    return problems + [f"{name} lies around" for name in sorted(around)]


def _import_from(root: Path, release: str) -> list[str]:
    """Let the shim pin what is current and import from it, as a function does; to be called once in a process."""
    os.environ.update(EFSPROV_ROOT=str(root), EFSPROV_CHANNEL=NAME, EFSPROV_TARGET=TARGET)
    shim = importlib.import_module("efsprov.bootstrap")
    framework, part = importlib.import_module("framework"), importlib.import_module("framework.part")
    pinned = shim.releases[NAME]
    whole = framework.__file__.startswith(pinned.site) and part.__file__.startswith(pinned.site)
    if pinned.id != release or part.answer() != 42 or framework.NUMBER not in range(1, 6) or not whole:
        return [f"the shim pinned {pinned.id} and imported {framework.__file__}, {release} is current"]
    return []


def _in_child(do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Fork, call ``do`` there, and return its answer, or {"signal": number} when the child was killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = do()
        except BaseException:  # noqa: BLE001 (the parent tells)
            answer = {"traceback": traceback.format_exc(), "problems": [traceback.format_exc()]}
        os.write(write, json.dumps(answer).encode()[:60_000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        text = answers.read()
    status = os.waitpid(pid, 0)[1]
    return {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else json.loads(text)


def _fresh_root(folder: Path) -> Path:
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    if (folder / "template").exists():
        shutil.copytree(folder / "template", root, symlinks=True)
    return root


def _snapshot(root: Path) -> dict[str, str]:
    """Every name below the root with its content."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name == LOCK_FILE:
            continue
        where = str(path.relative_to(root))
        found[where] = str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_text()
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
