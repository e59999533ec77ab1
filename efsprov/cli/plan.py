"""`efsprov plan`: what a sync would do, without doing it."""

import typer
from rich.markup import escape

from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.diff import print_changes
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
    ec2_builder,
)
from efsprov.cli.options import Json
from efsprov.cli.progress import shown_progress
from efsprov.cli.sync import ways_out
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
from efsprov.core.plan import Plan
from efsprov.pipeline.planning import make_plan, settings_of


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("plan")(plan)


def plan(
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
    spot: Spot = None,
    keep_on_failure: KeepOnFailure = None,
    as_json: Json = False,
) -> None:
    """Show what `sync` with the same options would do: which wheels, for which runtime, what changes. Changes nothing."""
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
        made, request = make_plan(wish, emit=emit, ask_sizes=True)
        if builder == "ec2":
            made = made.model_copy(
                update={"notes": (*made.notes, *ec2_builder(context, flags, settings_of(wish)).look(request))}
            )
    if as_json:
        print_json(made)
    else:
        _print_plan(made)


def _print_plan(made: Plan) -> None:
    out.print(f"[bold]{made.channel}[/] ({made.target}) in {made.root}, builder: {made.builder}")
    shown = table("", "package", "version", "download", "wheel", numbers=("download",))
    for wheel in made.wheels:
        shown.add_row(
            "*" if wheel.requested else "",
            wheel.name,
            wheel.version,
            size(wheel.size) if wheel.size else "?",
            wheel.wheel,
        )
    print_table(shown)
    download = f", {size(made.download_bytes)} to download at most" if made.download_bytes else ""
    out.print(f"{len(made.wheels)} wheels{download}. All fit {made.target}.")
    if made.current and made.changes:
        out.print(f"\nAgainst the current release {made.current}:")
        print_changes(made.changes)
    if any(made.savings.values()):
        told = ", ".join(f"{rule} {size(saved)}" for rule, saved in made.savings.items() if saved)
        out.print(f"--slim would save: {told}." + (f" Left out: {', '.join(made.slim)}." if made.slim else ""))
    if made.smoke:
        out.print(f"Smoke test: {made.smoke}")
    for consent in made.consents:
        out.print(f"\n[yellow]sync will stop here:[/] {escape(consent.message)}\n  {escape(ways_out(consent))}")
    if made.consents:
        out.print("\nNothing was changed.")
        return
    ends = {
        "build": "A sync would build this release and make it current.",
        "nothing": f"A sync would do nothing: the current release {made.current} has the same lock.",
        "activate": f"A sync would make release {made.existing} current again: it has the same lock.",
    }
    out.print(f"\n{ends[made.action]} Nothing was changed.")
