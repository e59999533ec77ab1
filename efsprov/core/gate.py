"""Holds every file of a lock against its target before anything is downloaded."""

from dataclasses import dataclass

from efsprov.core.errors import GateError
from efsprov.core.lock import Lock
from efsprov.core.target import Target
from efsprov.core.wheels import Misfit, misfit


@dataclass(frozen=True)
class Verdict:
    """Whether one file of a lock can be installed; ``misfit`` says why not, ``size`` is in bytes where known."""

    name: str
    version: str
    filename: str
    size: int | None
    misfit: Misfit | None


@dataclass(frozen=True)
class GateReport:
    """The verdicts on all files, and the bytes that are to be downloaded, as far as the index tells them."""

    verdicts: tuple[Verdict, ...]
    size: int


def gate(lock: Lock, target: Target, *, allow_sdists: bool = False) -> GateReport:
    """Judge every file of ``lock`` by its name; raises ``GateError`` naming all that do not fit, and why.

    A lock that was made for another target, and an sdist that nobody allowed, are refused as well.
    """
    if lock.target and lock.target != target.name:
        raise GateError(f"The lock is for {lock.target}, not for {target.name}.", hint="Resolve again for this target.")
    sdists = [package.file.filename for package in lock.packages if not package.file.is_wheel]
    if sdists and not allow_sdists:
        raise GateError(
            f"There are only sources, no wheels: {', '.join(sdists)}.",
            hint="--allow-sdists builds them: that runs the package's code on the builder.",
        )
    report = judge(lock, target)
    unfit = [v for v in report.verdicts if v.misfit is not None]
    if unfit:
        reasons = "; ".join(f"{v.name} {v.version}: its wheels {v.misfit}" for v in unfit)
        raise GateError(f"These wheels do not run on {target}. {reasons}.", hint="Resolve again for this target.")
    return report


def judge(lock: Lock, target: Target) -> GateReport:
    """Give the verdict on every file of ``lock`` without raising."""
    verdicts = tuple(
        Verdict(
            package.name,
            package.version,
            package.file.filename,
            package.file.size,
            misfit([package.file.filename], target) if package.file.is_wheel else None,
        )
        for package in lock.packages
    )
    return GateReport(verdicts, lock.size)
