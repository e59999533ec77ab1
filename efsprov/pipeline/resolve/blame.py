"""Finds the packages to blame where no Lambda runtime will do: not those of the newest runtime alone."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from efsprov.core.errors import ResolveError
from efsprov.core.target import AUTO, Target, targets_for
from efsprov.core.wording import join
from efsprov.pipeline.resolve.requirement_files import Requirements
from efsprov.pipeline.resolve.resolver import Compile, Compiled, run_compile
from efsprov.pipeline.resolve.uv_failure import Failure, Kind

_INTERPRETER = re.compile(r"(cp|pp|py)(\d)(\d*)\w*")
_SYSTEMS: Final = {
    "win": "Windows",
    "macosx": "macOS",
    "musllinux": "Linux with musl",
    "manylinux": "Linux",
    "linux": "Linux",
}
_NAMES: Final = {"cp": "CPython", "pp": "PyPy", "py": "Python"}


def most_telling(failed: Sequence[tuple[Compile, Failure]]) -> tuple[Compile, Failure]:
    """Choose the failure to explain where every target fails.

    Requirements that contradict each other where there are wheels say more than that there are none, and so does a hash
    that does not hold. Of the rest a package that fits no Lambda runtime at all counts before one that fits some.
    """
    for kind in (Kind.CONFLICT, Kind.HASH):
        for question, failure in failed:
            if failure.kind is kind:
                return question, failure
    return next(((q, f) for q, f in failed if is_hopeless(f, q.target)), failed[0])


def is_hopeless(failure: Failure, target: Target) -> bool:
    """Tell whether the wheels that there are (by uv's account) fit no Lambda runtime of the target's architecture."""
    if not failure.offered:
        return False
    pythons = {t.python.replace(".", "") for t in targets_for(AUTO, target.arch)}
    return not any(_fits(tag, pythons, target.machine) for tag in failure.offered)


def no_wheel_anywhere(question: Compile, failures: Sequence[Failure]) -> ResolveError:
    """Return the error for requirements of which no runtime has all wheels; ``failures`` are those of each target."""
    hopeless = [f for f in failures if is_hopeless(f, question.target)]
    blamed = {f.subject: f for f in reversed(hopeless or failures) if f.subject and f.kind is Kind.NO_WHEEL}
    first = next((f for f in failures if f.subject in blamed), failures[0])
    if first.sources and not question.allow_sdists:
        return ResolveError(
            f"There is no wheel to install: {first.explanation}",
            hint="There are only sources; --allow-sdists builds them: that runs the package's code on the builder.",
        )
    if not hopeless and len(blamed) < 2:
        return ResolveError(
            f"There is no wheel to install: {first.explanation}", hint=_versions_that_fit(question, [first.subject])
        )
    reasons = "; ".join(f"{name}: {_offer(failure)}" for name, failure in sorted(blamed.items()))
    where = "no Lambda runtime can run them" if hopeless else "no Lambda runtime has all of them"
    return ResolveError(
        f"There is no set of wheels, {where}. {reasons}.", hint=_versions_that_fit(question, sorted(blamed))
    )


def _fits(tag: str, pythons: set[str], machine: str) -> bool:
    if match := _INTERPRETER.fullmatch(tag):
        return match[1] == "py" or (match[1] == "cp" and f"{match[2]}{match[3]}" in pythons)
    return tag in {"abi3", "none", "any"} or (tag.startswith(("manylinux", "linux")) and tag.endswith(machine))


def _offer(failure: Failure) -> str:
    """Say in words what the wheels are for."""
    words = []
    for tag in failure.offered:
        match = _INTERPRETER.fullmatch(tag)
        system = next((name for start, name in _SYSTEMS.items() if tag.startswith(start)), tag)
        words.append(f"{_NAMES[match[1]]} {match[2]}{f'.{match[3]}' if match[3] else ''}" if match else system)
    return f"its wheels are for {join(list(dict.fromkeys(words)))} only" if words else failure.explanation


def _versions_that_fit(question: Compile, names: Sequence[str]) -> str:
    """Name the oldest and the newest version of each package that some Lambda runtime can run."""
    found = [text for name in names if name and (text := _range(question, name))]
    if not found:
        return "Leave it out, or build a wheel of it for Linux. Nothing was downloaded."
    return f"{' '.join(found)} Nothing was downloaded."


def _range(question: Compile, name: str) -> str:
    targets = targets_for(AUTO, question.target.arch)
    oldest = next((v for t in reversed(targets) if (v := _alone(question, name, t, lowest=True))), None)
    newest = next((v for t in targets if (v := _alone(question, name, t, lowest=False))), None)
    if oldest is None or newest is None:
        return f"No version of {name} has wheels for a Lambda runtime: leave it out, or build its wheel."
    (first, on), (last, on_newest) = oldest, newest
    if first == last:
        return f"{name} {first} fits {on}."
    return f"{name} {first} is the oldest version that fits a Lambda runtime ({on}), {last} the newest ({on_newest})."


def _alone(question: Compile, name: str, target: Target, *, lowest: bool) -> tuple[str, str] | None:
    alone = replace(
        question,
        requirements=Requirements((name,)),
        target=target,
        no_dependencies=True,
        constraints=(),
        glibc=None,
        lowest=lowest,
    )
    answer = run_compile(alone)
    if isinstance(answer, Compiled) and answer.lock.packages:
        return answer.lock.packages[0].version, target.runtime
    return None
