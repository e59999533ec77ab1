"""The journal as a few lines of plain Python, written without the store's code: what an entry may do, and what it does."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANSWERED_WITH_CURRENT = {"activate", "rollback", "rollback-to"}


@dataclass
class Done:
    """One operation of a process: the transaction ids that it drew, and its end, if it lived to see it."""

    name: str
    txs: set[str] = field(default_factory=set)
    ended: bool = False
    result: Any = None
    error: str = ""
    message: str = ""

    def end(self, record: dict[str, Any]) -> None:
        self.ended = True
        self.result, self.error = record.get("result"), record.get("error", "")
        self.message = record.get("message", "")

    def new_tx(self) -> str:
        tx = f"{id(self):016x}-{len(self.txs):08d}"  # the judge's own operations live as long as it
        self.txs.add(tx)
        return tx


@dataclass
class Model:
    """A channel: who is current, who was before, and what is known of each release."""

    current: str | None = None
    before: list[str] = field(default_factory=list)  # activations under the current one, oldest first
    live: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    pinned: set[str] = field(default_factory=set)

    def lawful(self, do: str, release: str) -> bool:
        if do == "publish":
            return release not in self.live
        if do in {"activate", "rollback"}:
            return release in self.live - self.bad and release != self.current
        if do == "prune":
            return release in self.live - self.pinned and release not in {self.current, *self.before[-1:]}
        if do == "mark-good":
            return release in self.bad  # the mark outlives the files of a pruned release
        condition = {"mark-bad": True, "pin": release not in self.pinned}
        return release in self.live and condition.get(do, release in self.pinned)

    def apply(self, do: str, release: str) -> None:
        match do:
            case "publish":
                self.live.add(release)
            case "activate":
                self._push(release)
            case "rollback":
                if release in self.before:
                    while self.before.pop() != release:
                        pass
                    self.current = release
                else:
                    self._push(release)
            case "mark-bad":
                self.bad.add(release)
            case "mark-good":
                self.bad.discard(release)
            case "pin":
                self.pinned.add(release)
            case "unpin":
                self.pinned.discard(release)
            case "prune":
                self.live.discard(release)

    def _push(self, release: str) -> None:
        if self.current is not None:
            self.before.append(self.current)
        self.current = release


def check(journal: Path, done: list[Done]) -> tuple[list[str], Model]:
    """Replay the journal; return what was unlawful in it or untrue in what was reported, and the model at its end."""
    problems, model = [], Model()
    owners = {tx: one for one in done for tx in one.txs}
    wrote: dict[int, list[tuple[str, str, str | None]]] = {}
    names = sorted(path.name for path in journal.iterdir())
    if names != [f"{n:08d}" for n in range(1, len(names) + 1)]:
        problems.append("the journal has gaps")
    seen: Counter[tuple[str, str]] = Counter()
    for name in names:
        entry = json.loads((journal / name).readlink().as_posix())
        do, release, tx = entry["do"], entry["release"], entry["tx"]
        seen[do, tx] += 1
        if not model.lawful(do, release):
            problems.append(f"entry {name} is unlawful: {entry}")
        if tx not in owners:
            problems.append(f"entry {name} belongs to nobody: {entry}")
        else:
            wrote.setdefault(id(owners[tx]), []).append((do, release, model.current))
        model.apply(do, release)
    problems += [f"{count} entries of one transaction: {key}" for key, count in seen.items() if count > 1]
    for one in done:
        problems += _untrue(one, wrote.get(id(one), []))
    return problems, model


def _untrue(one: Done, wrote: list[tuple[str, str, str | None]]) -> list[str]:
    """What an operation told that its entries do not bear out. A killed one told nothing."""
    if not one.ended:
        return []
    activations = [entry for entry in wrote if entry[0] in {"activate", "rollback"}]
    if one.error:
        expected = {"ConflictError", "NotFoundError", "IntegrityError"}
        if one.name in {"sync", "publish"}:
            expected |= {"BadReleaseError", "RolledBackError"}
        unexpected = one.error not in expected or "damaged" in one.message
        overtaken = one.name == "sync" and "is not current any more" in one.message
        if (activations and not overtaken) or unexpected:
            return [f"{one.name} failed ({one.error}: {one.message}) and wrote {wrote}"]
    elif one.name in ANSWERED_WITH_CURRENT and one.result is not None and activations:
        before, release = one.result
        if activations != [(activations[0][0], release, before)]:
            return [f"{one.name} told {one.result}, but wrote {activations}"]
    elif one.name == "prune" and sorted(one.result) != sorted(release for do, release, _ in wrote if do == "prune"):
        return [f"prune told {one.result}, but wrote {wrote}"]
    elif one.name in {"sync", "publish"} and {release for do, release, _ in wrote if do != "publish"} - {one.result}:
        return [f"{one.name} told {one.result}, but wrote {wrote}"]
    return []
