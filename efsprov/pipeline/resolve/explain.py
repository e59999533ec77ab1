"""Turns "no solution" into one clear error: verifies by resolving where else the requirements would work."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from efsprov.core.errors import EfsprovError, FetchError, GateError, ResolveError, UsageError
from efsprov.core.lock import Lock
from efsprov.core.masking import mask
from efsprov.core.target import ARCHES, AUTO, HOST, Target, targets_for
from efsprov.core.wheels import Misfit, Reason, misfit
from efsprov.core.wording import join
from efsprov.pipeline.resolve.blame import no_wheel_anywhere
from efsprov.pipeline.resolve.requirement_files import Requirements
from efsprov.pipeline.resolve.resolver import Compile, Compiled, run_compile
from efsprov.pipeline.resolve.uv_failure import Failure, Kind
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.uv import UV_GLIBC

AT_ONCE: Final = 3
_SETTINGS_HINT: Final = "uv's settings are [installer] in efsprov.toml, UV_* and PIP_* variables, and uv's own files."
_PINNED = re.compile(r"==\s*([\w.!+]+)")


def explain(
    question: Compile, failure: Failure, tried: Sequence[Target], failures: Sequence[Failure] = ()
) -> EfsprovError:
    """Return the error to raise for ``failure`` of ``question``; ``tried`` are the targets that are known to fail,
    ``failures`` how.

    A mismatch of wheels and target is a ``GateError`` that names the runtimes that would do, found by resolving for
    them; the rest is a ``ResolveError``, ``FetchError`` or ``UsageError``.
    """
    match failure.kind:
        case Kind.NO_WHEEL | Kind.CONFLICT:
            return _mismatch(question, failure, tried) or _conflict(question, failure, failures or (failure,))
        case Kind.NO_VERSION:
            return _no_version(question, failure)
        case Kind.UNREACHABLE:
            return _unreachable(failure)
        case Kind.HASH:
            return ResolveError(
                f"A pinned hash does not hold for {question.target}: {failure.explanation}.",
                hint="Nothing was downloaded. If the file is the right one, write its hash: `uv pip compile --generate-hashes`.",
            )
        case _:
            return _refused(question, failure)


def _refused(question: Compile, failure: Failure) -> EfsprovError:
    match failure.kind:
        case Kind.UNKNOWN_PACKAGE:
            return ResolveError(
                f"There is no package {failure.subject!r} where packages are looked for: {_places(question.settings)}.",
                hint="Is the name right? Its index is set by [installer] in efsprov.toml, UV_* or PIP_* variables.",
            )
        case Kind.FILE:
            return UsageError(
                f"uv refuses a requirement: {failure.explanation}.", hint="Correct that requirement, or leave it out."
            )
        case Kind.SETTING:
            return UsageError(f"uv cannot work with these settings: {failure.explanation}.", hint=_SETTINGS_HINT)
        case _:
            return ResolveError(f"uv could not resolve the requirements: {failure.explanation}.", hint=_SETTINGS_HINT)


def is_final(failure: Failure) -> bool:
    """Tell whether no other target can change the answer."""
    return failure.kind not in {Kind.NO_WHEEL, Kind.CONFLICT, Kind.HASH}


def _unreachable(failure: Failure) -> FetchError:
    hint = "Is the network up? Indexes, proxy and certificates are set by [installer] in efsprov.toml, UV_* or PIP_* variables."
    if re.search(r"\b(401|403)\b", failure.explanation):
        hint = (
            "The index wants credentials: put them into its URL, a netrc file, or UV_INDEX_NAME_USERNAME and _PASSWORD."
        )
    if "certificate" in failure.explanation.lower():
        hint = "Name the certificate authority: `certificate` under [installer] in efsprov.toml, SSL_CERT_FILE or PIP_CERT."
    return FetchError(f"{failure.subject} cannot be read: {failure.explanation.rstrip('.')}.", hint=hint)


def _no_version(question: Compile, failure: Failure) -> ResolveError:
    name = failure.subject
    wanted = next((t for t in question.requirements.texts if re.match(rf"{re.escape(name)}\b", t, re.IGNORECASE)), name)
    pinned = _PINNED.search(wanted)
    texts = [f"{name}<{pinned[1]}", name] if pinned and "*" not in wanted else [name]
    found = [_version(question, text) for text in texts]
    known = list(dict.fromkeys(version for version in found if version))
    hint = "Look at its index for what there is."
    if known:
        older = f"the next older one is {known[0]}, " if len(known) > 1 else ""
        hint = f"For {question.target}, {older}the newest is {known[-1]}."
    return ResolveError(f"There is no version of {name} that fits {wanted!r}.", hint=hint)


def _mismatch(question: Compile, failure: Failure, tried: Sequence[Target]) -> GateError | None:
    target = question.target
    elsewhere = [t for t in targets_for(AUTO, target.arch) if t not in tried]
    newest_glibc = replace(question, glibc=UV_GLIBC[-1])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wide = pool.submit(run_compile, newest_glibc)
        answers = pool.map(run_compile, [replace(question, target=t, glibc=None) for t in elsewhere])
        works = {t: a.lock for t, a in zip(elsewhere, answers, strict=True) if isinstance(a, Compiled)}
        widest = wide.result()
    if isinstance(widest, Compiled) and (unfit := _unfit([widest.lock], target)):
        return _gate_error(question, unfit, works)
    if works:
        return _gate_error(question, _unfit(works.values(), target), works, failure)
    if failure.kind is not Kind.NO_WHEEL:
        return None
    others = [t for arch in ARCHES if arch != target.arch for t in targets_for(AUTO, arch)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(run_compile, [replace(question, target=t, glibc=None) for t in others])
        works = {t: a.lock for t, a in zip(others, answers, strict=True) if isinstance(a, Compiled)}
    return _gate_error(question, _unfit(works.values(), target), works, failure) if works else None


def _unfit(locks: Iterable[Lock], target: Target) -> dict[tuple[str, str], Misfit]:
    """Say of each package and version in ``locks`` that has no wheel for ``target`` why that is."""
    wheels: dict[tuple[str, str], set[str]] = {}
    for lock in locks:
        for package in lock.packages:
            wheels.setdefault((package.name, package.version), set()).update(w.filename for w in package.wheels)
    found = {key: misfit(names, target) for key, names in wheels.items()}
    return {key: reason for key, reason in found.items() if reason is not None}


def _gate_error(
    question: Compile,
    unfit: dict[tuple[str, str], Misfit],
    works: dict[Target, Lock],
    failure: Failure | None = None,
) -> GateError:
    target = question.target
    # What was asked for, or what uv stumbled over, is to blame; what else is in the same lock only came along.
    subjects = (failure.subject,) if failure and failure.subject else question.requirements.names
    blamed = [key for key in unfit if key[0] in subjects] or [k for k in unfit if k[0] in question.requirements.names]
    if not blamed and failure is None:
        blamed = list(unfit)
    if blamed:
        reasons = "; ".join(f"{name} {version}: its wheels {unfit[name, version]}" for name, version in blamed)
        reasons = f"{reasons}."
    else:
        reasons = failure.explanation if failure else ""
    hints = [_alternatives(target, tuple(works))]
    if any(unfit[key].reason is not Reason.ARCHITECTURE for key in blamed):
        hints.append(_fitting_version(question, blamed))
    return GateError(
        f"No set of wheels runs on {target}. {reasons}",
        hint=" ".join(filter(None, [*hints, "Nothing was downloaded."])),
    )


def _alternatives(target: Target, works: tuple[Target, ...]) -> str:
    """Say which runtimes would do."""
    if not works:
        return "No other Lambda runtime would do either."
    ordered = sorted(works, key=lambda t: tuple(int(part) for part in t.python.split(".")))
    names = join([t.runtime for t in ordered])
    if ordered[0].arch != target.arch:
        return f"On {ordered[0].arch} {names} would do (--arch {ordered[0].arch})."
    newer = all(_number(t) > _number(target) for t in ordered) and target.runtime != HOST
    start = f"From {ordered[0].runtime} on it works: " if newer else ""
    return f"{start}{names} would do (--runtime)."


def _fitting_version(question: Compile, blamed: list[tuple[str, str]]) -> str:
    """Name the newest version of a package that was asked for and does not fit, but did in another version."""
    for name, version in blamed:
        if name in question.requirements.names and (fitting := _version(question, name)) and fitting != version:
            return f"Or choose another version: {name} {fitting} is the newest that fits {question.target}."
    return ""


def _conflict(question: Compile, failure: Failure, failures: Sequence[Failure]) -> ResolveError:
    if failure.kind is Kind.NO_WHEEL:
        return no_wheel_anywhere(question, failures)
    return ResolveError(
        f"The requirements contradict each other for {question.target}: {failure.explanation}",
        hint="Loosen one of them.",
    )


def _version(question: Compile, text: str) -> str:
    """Return the version of a requirement alone that fits the target, empty if none does."""
    alone = Requirements((text,))
    answer = run_compile(replace(question, requirements=alone, no_dependencies=True, constraints=(), glibc=None))
    return answer.lock.packages[0].version if isinstance(answer, Compiled) and answer.lock.packages else ""


def _places(settings: InstallerSettings) -> str:
    urls = [mask(url) for url in settings.index_urls] or ["the default index"]
    if settings.environment.get("UV_NO_INDEX"):
        urls = []
    return ", ".join([*urls, *(mask(link) for link in settings.find_links)]) or "nowhere (no index and no find-links)"


def _number(target: Target) -> tuple[int, ...]:
    return tuple(int(part) for part in target.python.split("."))
