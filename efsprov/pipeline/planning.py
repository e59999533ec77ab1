"""From what is wished for to the plan and to the request that a builder carries out. Changes nothing."""

import os
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from efsprov.core.build import BuildRequest
from efsprov.core.difference import Change, compare_distributions
from efsprov.core.errors import EfsprovError, UsageError
from efsprov.core.events import Emit
from efsprov.core.lock import Lock
from efsprov.core.manifest import Distribution
from efsprov.core.plan import Plan, PlannedWheel
from efsprov.core.requirements import check_requirement, requirement_name
from efsprov.core.target import AUTO, HOST, Arch, Target, host_target, targets_for
from efsprov.core.wording import counted
from efsprov.pipeline.fetch import WheelCache
from efsprov.pipeline.gate import gate
from efsprov.pipeline.installer_settings import InstallerSection, InstallerSettings, installer_settings
from efsprov.pipeline.interpreter import own_interpreter
from efsprov.pipeline.publication import find_same
from efsprov.pipeline.resolve import Resolution, ResolveRequest, resolve
from efsprov.pipeline.scratch import cache_folder
from efsprov.pipeline.sizes import with_sizes
from efsprov.pipeline.slim_plan import plan_savings
from efsprov.pipeline.steps import Steps
from efsprov.store.journal import read_state
from efsprov.store.layout import Root
from efsprov.store.verify import read_manifest


@dataclass(frozen=True)
class Wish:
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


def name_of(requirement: str) -> str:
    """Return the distribution's name in a requirement: a channel's default name. Raises ``UsageError``."""
    return requirement_name(check_requirement(requirement))


def settings_of(wish: Wish) -> InstallerSettings:
    """Return where packages come from and how they are reached, from efsprov.toml and this machine's environment."""
    return installer_settings(wish.installer_settings, os.environ, folder=Path.cwd())


def make_plan(wish: Wish, *, emit: Emit, ask_sizes: bool = False) -> tuple[Plan, BuildRequest]:
    """Resolve the wish for its target, check that every wheel fits, and say what a sync would do.

    The root is looked at where it is mounted here; a root on another machine is that builder's to judge.
    ``ask_sizes`` asks the servers for what only a plan tells: the wheels' sizes, where the index does not, and what
    `--slim` would save.
    """
    steps = Steps(emit)
    here = Root.open(wish.root, writing=True) if wish.builder == "local" else None
    settings = settings_of(wish)
    with steps.step("resolve", ", ".join(wish.requirements)) as step:
        resolution = resolve(
            ResolveRequest(
                requirements=wish.requirements,
                requirement_files=wish.requirement_files,
                targets=possible_targets(wish.runtime, wish.arch),
                settings=settings,
                torch_backend="cuda" if wish.cuda else None,
                allow_sdists=wish.allow_sdists,
            )
        )
        if ask_sizes:
            resolution = replace(resolution, lock=with_sizes(resolution.lock, settings))
        step.outcome = f"{counted(len(resolution.lock.packages), 'package')} for {resolution.target}"
    with steps.step("gate") as step:
        report = gate(resolution.lock, resolution.target, allow_sdists=wish.allow_sdists)
        step.outcome = f"{counted(len(report.verdicts), 'wheel')} for {resolution.target}"
    notes, warnings = resolution.notes, remarks_on(resolution.target)
    for note in notes:
        steps.note("resolve", note)
    for warning in warnings:
        steps.warn("resolve", warning)
    request = BuildRequest(
        run=secrets.token_hex(8),
        root=str(here.path if here else wish.root),
        channel=wish.channel,
        target=resolution.target.name,
        requirements=resolution.requirements,
        requested=resolution.requested,
        lock=resolution.lock_text,
        imports=wish.imports,
        slim=wish.slim,
        allow_sdists=wish.allow_sdists,
        installer=wish.installer,
        builder=wish.builder,
        activate=wish.activate,
        wait=wish.wait,
        notes=notes,
    )
    plan = _plan(wish, resolution, request)
    if ask_sizes:
        saved = plan_savings(resolution.lock, settings, WheelCache(cache_folder() / "wheels"))
        plan = plan.model_copy(
            update={
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


def remarks_on(target: Target) -> tuple[str, ...]:
    """Say what the user should know about a target itself."""
    runtime = target.lambda_runtime
    remark = runtime.remark(datetime.now(UTC).date()) if runtime else ""
    return (remark,) if remark else ()


def _plan(wish: Wish, resolution: Resolution, request: BuildRequest) -> Plan:
    return Plan(
        root=request.root,
        channel=wish.channel,
        target=resolution.target.name,
        builder=wish.builder,
        action="build",
        requirements=resolution.requirements,
        wheels=tuple(
            PlannedWheel(
                name=package.name,
                version=package.version,
                wheel=package.file.filename,
                size=package.file.size or 0,
                requested=package.name in resolution.requested,
            )
            for package in resolution.lock.packages
        ),
        lock_digest=request.lock_digest,
        slim=wish.slim,
        smoke=f"import {', '.join(wish.imports)}" if wish.imports else "import what the requirements provide",
        notes=resolution.notes,
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
    changes: tuple[Change, ...] = ()
    if state.current and not same:
        try:
            before = read_manifest(channel, state.current).distributions
        except EfsprovError:
            before = ()  # the current release is damaged: a sync makes up for it
        changes = compare_distributions(before, _distributions(resolution.lock))
    action: Literal["build", "nothing", "activate"] = "build"
    if same:
        action = "nothing" if same == state.current else "activate"
    return plan.model_copy(update={"current": state.current, "existing": same, "changes": changes, "action": action})


def _distributions(lock: Lock) -> tuple[Distribution, ...]:
    return tuple(
        Distribution(name=p.name, version=p.version, wheel=p.file.filename, sha256=p.file.sha256) for p in lock.packages
    )
