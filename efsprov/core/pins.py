"""Holds a lock to the hashes that the user wrote, by pip's rules for `--require-hashes`.

https://pip.pypa.io/en/stable/topics/secure-installs/#hash-checking-mode
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement

from efsprov.core.errors import UsageError
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.requirement_file import RequirementLine
from efsprov.core.wording import join


@dataclass(frozen=True)
class Pins:
    """``allowed``: the SHA-256 that files of a distribution may have, by its name; ``where``: the lines that say so.

    With ``required`` a distribution without any is refused.
    """

    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    required: bool = False


@dataclass(frozen=True)
class Unheld:
    """A package that the pins refuse, and why."""

    name: str
    reason: str


def collect_pins(lines: Sequence[RequirementLine], constraints: Sequence[RequirementLine], *, required: bool) -> Pins:
    """Join the hashes of requirements and constraints; where both name a distribution, a file must fit both.

    One hash anywhere requires them everywhere, as pip has it. Raises ``UsageError`` for requirements that then have no
    hash, or do not name one version.
    """
    required = required or any(line.written_hash for line in (*lines, *constraints))
    named, limited = _by_name(lines), _by_name(constraints)
    allowed = {
        name: frozenset(named.get(name) or limited[name]) & frozenset(limited.get(name) or named[name])
        for name in named.keys() | limited.keys()
    }
    where = {line.name: line.where for line in (*constraints, *lines) if line.hashes}
    if required:
        _refuse_unpinned([line for line in lines if not allowed.get(line.name)], "has no --hash", "have no --hash")
        _refuse_unpinned([line for line in lines if not _names_one_version(line, constraints)],
                         "does not name one version with ==", "do not name one version with ==")  # fmt: skip
    return Pins(allowed, where, required)


def hold(lock: Lock, pins: Pins) -> Lock | Unheld:
    """Return ``lock`` with the files alone that the pins allow; or the first package of which none is left."""
    kept = []
    for package in lock.packages:
        allowed = pins.allowed.get(package.name)
        if allowed is None:
            if pins.required:
                return Unheld(
                    package.name,
                    f"{package.name} {package.version} is needed, and no line pins its hash: with one hash in "
                    "the requirements every package must have one",
                )
            kept.append(package)
            continue
        held = _held(package, allowed)
        if not held.wheels and held.sdist is None:
            return Unheld(
                package.name,
                f"no file of {package.name} {package.version} has a hash that {pins.where[package.name]} allows",
            )
        kept.append(held)
    return replace(lock, packages=tuple(kept))


def _held(package: LockedPackage, allowed: frozenset[str]) -> LockedPackage:
    def fits(file: LockedFile | None) -> bool:
        return file is not None and file.sha256 in allowed

    return replace(
        package,
        wheels=tuple(wheel for wheel in package.wheels if fits(wheel)),
        sdist=package.sdist if fits(package.sdist) else None,
    )


def _by_name(lines: Iterable[RequirementLine]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        if line.hashes:
            found.setdefault(line.name, set()).update(line.hashes)
    return found


def _names_one_version(line: RequirementLine, constraints: Iterable[RequirementLine]) -> bool:
    texts = [line.text, *(c.text for c in constraints if c.name == line.name)]
    return any(_exact(Requirement(text)) for text in texts)


def _exact(requirement: Requirement) -> bool:
    if requirement.url:
        return True
    return any(s.operator in {"==", "==="} and not s.version.endswith(".*") for s in requirement.specifier)


def _refuse_unpinned(lines: Sequence[RequirementLine], one: str, several: str) -> None:
    if lines:
        names = list(dict.fromkeys(line.name for line in lines))
        raise UsageError(
            f"{lines[0].where}: {join(names)} {one if len(names) == 1 else several}, "
            "and hashes are required: with one hash in the requirements every requirement must be pinned and have one.",
            hint="`uv pip compile --generate-hashes` writes such a file; or remove all hashes.",
        )
