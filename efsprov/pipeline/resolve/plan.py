"""From what is wished for to the plan and to the request that a builder carries out. Changes nothing."""

import os
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from efsprov.core.build import BuildRequest
from efsprov.core.difference import Change, compare_distributions
from efsprov.core.errors import EfsprovError, ResolveError, UsageError
from efsprov.core.events import Emit
from efsprov.core.gate import gate
from efsprov.core.lock import Lock
from efsprov.core.manifest import Distribution
from efsprov.core.masking import mask
from efsprov.core.objections import objection
from efsprov.core.plan import Plan, PlannedWheel
from efsprov.core.requirements import check_requirement, requirement_name
from efsprov.core.runtime_libraries import missing_libraries, shown
from efsprov.core.target import AUTO, HOST, Arch, Target, host_target, targets_for
from efsprov.core.wording import join, pluralize
from efsprov.pipeline.publish.publish_once import find_same
from efsprov.pipeline.resolve.download_sizes import with_sizes
from efsprov.pipeline.resolve.requirement_files import Requirements, read_requirements
from efsprov.pipeline.resolve.resolve import Resolution, ResolveRequest, resolve
from efsprov.pipeline.resolve.slim_savings import plan_savings
from efsprov.pipeline.tools.installer_settings import InstallerSection, InstallerSettings, installer_settings
from efsprov.pipeline.tools.interpreter import has_interpreter, own_interpreter
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import cache_folder
from efsprov.pipeline.tools.wheel_cache import WheelCache
from efsprov.store.journal import read_state
from efsprov.store.layout import Root
from efsprov.store.verify import read_manifest


@dataclass(frozen=True)
class SyncOptions:
    """What the user asks of a sync. ``root`` is the root's path on the builder, ``arch`` in Lambda's words."""

    root: Path
    channel: str
    requirements: tuple[str, ...]
    requirement_files: tuple[Path, ...] = ()
    runtime: str = AUTO
    arch: str = "x86_64"
    builder: str = "local"
    imports: tuple[str, ...] = ()
    slim: tuple[str, ...] = ()
    installer: Literal["uv", "pip"] = "uv"
    installer_settings: InstallerSection = field(default_factory=InstallerSection)
    cuda: bool = False
    allow_sdists: bool = False
    activate: bool = True
    wait: bool = True
    again: bool = False


def name_of(requirement: str) -> str:
    """Return the distribution's name in a requirement: a channel's default name. Raises ``UsageError``."""
    return requirement_name(check_requirement(requirement))


@dataclass(frozen=True)
class Inputs:
    """What a wish names, read: its requirements, and ``settings`` that say where packages come from."""

    requirements: Requirements
    settings: InstallerSettings


def read_inputs(wanted: SyncOptions) -> Inputs:
    """Read the requirement files, efsprov.toml's section and this machine's environment, each once.

    Raises ``UsageError`` for what is not a requirement, and for an option that efsprov cannot honour.
    """
    settings = installer_settings(wanted.installer_settings, os.environ, folder=Path.cwd())
    requirements = read_requirements(
        wanted.requirements,
        wanted.requirement_files,
        constraint_files=settings.constraint_files,
        require_hashes=settings.require_hashes,
    )
    if requirements.options.prefer_binary and wanted.allow_sdists:
        raise UsageError(
            "--prefer-binary in a requirement file does not go with --allow-sdists: uv cannot prefer wheels of older versions.",
            hint="Leave one of them out. Without --allow-sdists only wheels are taken.",
        )
    return Inputs(requirements, settings.with_requirements(requirements.options, requirements.logins))


def make_plan(wanted: SyncOptions, inputs: Inputs, *, emit: Emit, ask_sizes: bool = False) -> tuple[Plan, BuildRequest]:
    """Resolve the wish for its target, check that every wheel fits, and say what a sync would do.

    The root is looked at where it is mounted here; a root on another machine is that builder's to judge.
    ``ask_sizes`` asks the servers for what only a plan tells: the wheels' sizes, where the index does not, and what
    `--slim` would save. It also tells what the runtime may lack, where an earlier sync has looked into all the wheels.
    """
    steps = ProgressReporter(emit)
    here = Root.open(wanted.root, writing=True) if wanted.builder == "local" else None
    targets = possible_targets(wanted.runtime, wanted.arch)
    passed_over = ""
    if here and wanted.runtime == AUTO:
        targets, passed_over = buildable_here(targets)
    settings = inputs.settings
    with steps.step("resolve", ", ".join(map(mask, wanted.requirements))) as step:
        resolution = resolve(
            ResolveRequest(
                requirements=inputs.requirements,
                targets=targets,
                settings=settings,
                torch_backend="cuda" if wanted.cuda else None,
                allow_sdists=wanted.allow_sdists,
            )
        )
        if ask_sizes:
            resolution = replace(resolution, lock=with_sizes(resolution.lock, settings))
        if not resolution.lock.packages:
            raise ResolveError(
                f"Nothing is left to install for {resolution.target}: the markers of {join(inputs.requirements.shown)} "
                "leave it out.",
                hint="Correct the markers behind `;`, or name another runtime or architecture.",
            )
        step.outcome = f"{pluralize(len(resolution.lock.packages), 'package')} for {resolution.target}"
    with steps.step("gate") as step:
        report = gate(resolution.lock, resolution.target, allow_sdists=wanted.allow_sdists)
        step.outcome = f"{pluralize(len(report.verdicts), 'wheel')} for {resolution.target}"
    notes, warnings = (*([passed_over] if passed_over else ()), *resolution.notes), remarks_on(resolution.target)
    for note in notes:
        steps.note("resolve", note)
    for warning in warnings:
        steps.warn("resolve", warning)
    request = BuildRequest(
        run=secrets.token_hex(8),
        root=str(here.path if here else wanted.root),
        channel=wanted.channel,
        target=resolution.target.name,
        requirements=resolution.requirements,
        requested=resolution.requested,
        lock=resolution.lock_text,
        imports=wanted.imports,
        slim=wanted.slim,
        allow_sdists=wanted.allow_sdists,
        installer=wanted.installer,
        builder=wanted.builder,
        activate=wanted.activate,
        wait=wanted.wait,
        again=wanted.again,
        notes=notes,
    )
    plan = _plan(wanted, resolution, request)
    if ask_sizes:
        cache = WheelCache(cache_folder() / "wheels")
        saved = plan_savings(resolution.lock, settings, cache)
        lacking = _lacking(resolution.lock, resolution.target, cache)
        for remark in lacking:
            steps.warn("gate", remark)
        plan = plan.model_copy(
            update={
                "warnings": (*plan.warnings, *lacking),
                "savings": {rule: saving.bytes for rule, saving in saved.by_rule.items()},
                "savings_unknown": saved.unknown,
            }
        )
    return (_compare_with_root(plan, here, resolution) if here else plan), request


def possible_targets(runtime: str, arch: str) -> tuple[Target, ...]:
    """Return the targets that `--runtime` and `--arch` leave, the preferred first; raises ``UsageError``."""
    if arch not in get_args(Arch):
        raise UsageError(f"There is no architecture {arch!r} in Lambda.", hint="--arch takes x86_64 or arm64.")
    if runtime != HOST:
        return targets_for(runtime, arch)  # type: ignore[arg-type]
    own = own_interpreter()
    if own.arch != arch:
        raise UsageError(
            f"--runtime host is this machine, which is {own.arch}, not {arch}.",
            hint=f"Leave --arch out, or use --arch {own.arch}.",
        )
    return (host_target(python=own.version, arch=arch, glibc=own.glibc),)  # type: ignore[arg-type]


def buildable_here(targets: tuple[Target, ...]) -> tuple[tuple[Target, ...], str]:
    """Return those targets whose interpreter this machine has, and a note on newer ones that are passed over for that.

    All of them where it has none: then the error says what is missing.
    """
    here = tuple(target for target in targets if has_interpreter(target.python))
    newer = targets[: targets.index(here[0])] if here else ()
    if not newer:
        return here or targets, ""
    names = join([target.runtime for target in newer])
    return (
        here,
        f"{names} {'is' if len(newer) == 1 else 'are'} passed over: CPython {newer[0].python} is not on this machine.",
    )


def remarks_on(target: Target) -> tuple[str, ...]:
    """Say what the user should know about a target itself."""
    runtime = target.lambda_runtime
    remark = runtime.remark(datetime.now(UTC).date()) if runtime else ""
    return (remark,) if remark else ()


def _lacking(lock: Lock, target: Target, cache: WheelCache) -> tuple[str, ...]:
    """Say what the runtime may lack, if it is noted of every file what its libraries bring and need."""
    noted = [cache.libraries(package.file, target.machine) for package in lock.packages]
    known = [needs for needs in noted if needs is not None]
    return shown(missing_libraries(known, target)) if len(known) == len(noted) else ()


def _plan(wanted: SyncOptions, resolution: Resolution, request: BuildRequest) -> Plan:
    return Plan(
        root=request.root,
        channel=wanted.channel,
        target=resolution.target.name,
        builder=wanted.builder,
        action="build",
        requirements=resolution.requirements,
        wheels=tuple(
            PlannedWheel(
                name=package.name,
                version=package.version,
                wheel=package.file.filename,
                size=package.file.size,
                requested=package.name in resolution.requested,
            )
            for package in resolution.lock.packages
        ),
        lock_digest=request.lock_digest,
        slim=wanted.slim,
        smoke=f"import {', '.join(wanted.imports)}" if wanted.imports else "import what the requirements provide",
        notes=request.notes,
        warnings=remarks_on(resolution.target),
        consents=resolution.consents,
    )


def _compare_with_root(plan: Plan, root: Root, resolution: Resolution) -> Plan:
    """Say what a sync would change in the channel as it stands."""
    channel = root.channel(plan.channel, plan.target)
    if not channel.exists:
        return plan
    state = read_state(channel)
    found = find_same(channel, state, plan.lock_digest, read_manifest)
    same = found.id if found else None
    refused = objection(state, plan.lock_digest, where=channel.label, again=False)
    changes: tuple[Change, ...] = ()
    if state.current and not same:
        try:
            before = read_manifest(channel, state.current).distributions
        except EfsprovError:
            before = ()  # the current release is damaged: a sync makes up for it
        changes = compare_distributions(before, _distributions(resolution.lock), installed=False)
    action: Literal["build", "nothing", "activate"] = "build"
    if same:
        action = "nothing" if same == state.current else "activate"
    return plan.model_copy(
        update={
            "current": state.current,
            "existing": same,
            "changes": changes,
            "action": action,
            "objection": f"{refused.message} {refused.hint}" if refused else "",
        }
    )


def _distributions(lock: Lock) -> tuple[Distribution, ...]:
    return tuple(
        Distribution(name=p.name, version=p.version, wheel=p.file.filename, sha256=p.file.sha256) for p in lock.packages
    )
