"""`efsprov sync`: from requirements to the current release."""

from typing import Annotated

import typer

from efsprov.cli.builder import choose_builder
from efsprov.cli.channel_source import BuilderFunction
from efsprov.cli.console import duration, out, print_json, size
from efsprov.cli.machines import (
    AccessPoint,
    ConnectBy,
    FileSystem,
    Host,
    HostKey,
    Identity,
    InstanceProfile,
    InstanceTypes,
    KeepOnFailure,
    MachineFlags,
    Minutes,
    Region,
    Spot,
    Subnets,
)
from efsprov.cli.options import Json
from efsprov.cli.progress import shown_progress
from efsprov.cli.wish import (
    AllowSdists,
    Architecture,
    BuilderName,
    Cuda,
    Framework,
    Imports,
    Installer,
    NewChannel,
    RequirementFiles,
    SlimRules,
    TargetRuntime,
    WritableRoot,
    read_wish,
)
from efsprov.core.build import BuildResult
from efsprov.core.errors import GateError
from efsprov.core.plan import NeededConsent, Plan
from efsprov.pipeline.planning import make_plan, settings_of

_NoActivate = Annotated[bool, typer.Option("--no-activate", help="Publish the release, but leave `current` as it is.")]
_NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when another publisher is at work, instead of waiting.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sync")(sync)


def sync(
    context: typer.Context,
    root: WritableRoot,
    framework: Framework = None,
    requirements: RequirementFiles = None,
    channel: NewChannel = None,
    runtime: TargetRuntime = "auto",
    arch: Architecture = "x86_64",
    builder: BuilderName = "local",
    imports: Imports = None,
    slim: SlimRules = None,
    installer: Installer = "uv",
    builder_function: BuilderFunction = None,
    host: Host = None,
    host_key: HostKey = None,
    identity: Identity = None,
    region: Region = None,
    file_system: FileSystem = None,
    access_point: AccessPoint = None,
    instance_profile: InstanceProfile = None,
    instance_types: InstanceTypes = None,
    subnets: Subnets = None,
    connect: ConnectBy = None,
    minutes: Minutes = None,
    *,
    cuda: Cuda = False,
    allow_sdists: AllowSdists = False,
    no_activate: _NoActivate = False,
    no_wait: _NoWait = False,
    spot: Spot = None,
    keep_on_failure: KeepOnFailure = None,
    as_json: Json = False,
) -> None:
    """Install a framework into a new release, prove that it imports, and make it current in one atomic step."""
    wish = read_wish(
        context,
        root=root,
        framework=framework,
        requirement_files=requirements,
        channel=channel,
        runtime=runtime,
        arch=arch,
        builder=builder,
        imports=imports,
        slim=slim,
        installer=installer,
        cuda=cuda,
        allow_sdists=allow_sdists,
        activate=not no_activate,
        wait=not no_wait,
    )
    flags = MachineFlags(
        host=host,
        host_key=host_key,
        identity=identity,
        region=region,
        file_system=file_system,
        access_point=access_point,
        instance_profile=instance_profile,
        instance_types=instance_types,
        subnets=subnets,
        spot=spot,
        connect=connect,
        keep_on_failure=keep_on_failure,
        minutes=minutes,
    )
    with shown_progress() as emit:
        plan, request = make_plan(wish, emit=emit)
        refuse_without_consent(plan)
        result = choose_builder(
            builder, settings_of(wish), context=context, flags=flags, function=builder_function
        ).run(request, emit)
    if as_json:
        print_json({"plan": plan.model_dump(mode="json"), "result": result.model_dump(mode="json")})
    else:
        _report(plan, result)


def refuse_without_consent(plan: Plan) -> None:
    """Raise ``GateError`` when the plan needs a consent that was not given."""
    if plan.consents:
        first = plan.consents[0]
        raise GateError(first.message, hint=ways_out(first))


def ways_out(consent: NeededConsent) -> str:
    """Say what to do about something that needs a consent."""
    ways = {
        "cuda": "Or name an index that has the CPU build ([installer] index, UV_INDEX, PIP_INDEX_URL), or put its wheel where "
        "find_links looks: see docs/how-to/pytorch-without-cuda.md.",
        "sdist": "Or pin a version that has wheels.",
    }
    return f"{consent.flag} takes it all the same. {ways.get(consent.kind, '')}".rstrip()


def _report(plan: Plan, result: BuildResult) -> None:
    label = f"{plan.channel} ({plan.target})"
    if result.outcome == "unchanged":
        out.print(f"[green]✓[/] {label}: nothing to do. The current release {result.release} has the same lock.")
    elif result.outcome == "reactivated":
        out.print(
            f"[green]✓[/] {label}: release {result.release} has the same lock; it is current again (was {result.before})."
        )
    else:
        figures = result.figures
        linked = f", {size(figures.linked_bytes)} of it linked" if figures.linked_bytes else ""
        took = duration(sum(figures.seconds.values()))
        out.print(
            f"[green]✓[/] {label}: release [bold]{result.release}[/], {size(figures.bytes)} in {figures.files} files{linked}, {took}."
        )
        if result.activated:
            out.print(
                "  It is current" + (f" (was {result.before}; back with `efsprov rollback`)." if result.before else ".")
            )
        else:
            out.print(f"  It is not current: efsprov activate {result.release}")
    if result.activated:
        out.print(
            "[dim]  In the function: EFSPROV_ROOT (where it mounts the file system), "
            f"EFSPROV_CHANNEL={plan.channel}, and `import efsprov.bootstrap` first.[/]"
        )
