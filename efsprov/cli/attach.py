"""`efsprov attach` and `detach`: a user's function gets the file system, the shim and its variables, or gives them back."""

from pathlib import PurePosixPath
from typing import Annotated

import typer

from efsprov.aws.layers import newest_layer
from efsprov.aws.session import Aws, open_session
from efsprov.cli.channel_source import LookedAtRoot, StatedTarget, look_up_channels
from efsprov.cli.console import out, print_json, print_table, table
from efsprov.cli.options import BuilderFunction, Json
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import NotFoundError, UsageError
from efsprov.emit.shim import DISTRIBUTION
from efsprov.functions.attachment import Attachment, WiringPlan, plan_attachment, plan_detachment
from efsprov.functions.channels import fitting_channel
from efsprov.functions.wiring import carry_out, read_settled

Function = Annotated[str, typer.Option("--function", metavar="NAME", help="The function's name or ARN.")]
Region = Annotated[
    str | None, typer.Option("--region", metavar="REGION", help="The AWS region (default: the environment's).")
]
_Channels = Annotated[
    list[str], typer.Option("--channel", metavar="NAME", help="A channel that the function uses; may be repeated.")
]
_AccessPoint = Annotated[
    str | None,
    typer.Option("--access-point", metavar="ARN", help="The file system's access point (default: the one it has)."),
]
_MountPath = Annotated[
    str | None, typer.Option("--mount-path", metavar="PATH", help="Where the function sees it (default: /mnt/efs).")
]
_Inside = Annotated[
    str,
    typer.Option("--inside", metavar="FOLDER", help="The root's folder on the file system, where it is not all of it."),
]
_Layer = Annotated[
    str | None,
    typer.Option("--layer", metavar="ARN", help="The shim's layer version (default: the newest of efsprov-bootstrap)."),
]
_NoLayer = Annotated[
    bool, typer.Option("--no-layer", help="Leave the layers alone: the package brings efsprov.bootstrap itself.")
]
_Subnets = Annotated[
    list[str] | None, typer.Option("--subnet", metavar="ID", help="For a function that is in no VPC; may be repeated.")
]
_Groups = Annotated[
    list[str] | None,
    typer.Option("--security-group", metavar="ID", help="For a function that is in no VPC; may be repeated."),
]
_Replace = Annotated[
    bool, typer.Option("--replace", help="Take the place of another file system that the function has.")
]
_Plan = Annotated[bool, typer.Option("--plan", help="Say what would change, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("attach")(attach)
    app.command("detach")(detach)


def attach(
    function: Function,
    channel: _Channels,
    access_point: _AccessPoint = None,
    mount_path: _MountPath = None,
    inside: _Inside = "",
    layer: _Layer = None,
    subnet: _Subnets = None,
    security_group: _Groups = None,
    root: LookedAtRoot = None,
    builder_function: BuilderFunction = None,
    target: StatedTarget = None,
    region: Region = None,
    *,
    no_layer: _NoLayer = False,
    replace: _Replace = False,
    plan: _Plan = False,
    as_json: Json = False,
) -> None:
    """Give a function the file system, the shim's layer and its variables; everything else of it stays as it is."""
    names = tuple(name.strip() for text in channel for name in text.split(","))
    for name in names:
        check_channel_name(name)
    aws = open_session(region)
    found = read_settled(aws, function)
    facts = look_up_channels(names, root=root, builder_function=builder_function, target=target, inside=inside, aws=aws)
    fitting = [fitting_channel(facts, n, function=found.name, runtime=found.runtime, arch=found.arch) for n in names]
    access_point = access_point or next((m.access_point for m in found.mounted), None)
    if access_point is None:
        raise UsageError(
            f"Function {found.name} has no file system yet, and none is named.",
            hint="--access-point arn:aws:elasticfilesystem:REGION:ACCOUNT:access-point/fsap-...",
        )
    here = next((m.path for m in found.mounted if m.access_point == access_point), None)
    mount_path = mount_path or here or "/mnt/efs"
    variables = {"EFSPROV_ROOT": str(PurePosixPath(mount_path, inside)), "EFSPROV_CHANNEL": ",".join(names)}
    if not found.runtime and len(fitting) == 1:
        variables["EFSPROV_TARGET"] = fitting[0].target
    wanted = Attachment(
        access_point=access_point,
        mount_path=mount_path,
        variables=variables,
        layer="" if no_layer or found.package == "Image" else layer or _newest(aws),
        subnets=tuple(subnet or ()),
        groups=tuple(security_group or ()),
        replace=replace,
    )
    wiring = plan_attachment(found, wanted)
    if not plan:
        carry_out(aws, found, wiring)
    _report(wiring, done=not plan, verb="attached", as_json=as_json)


def detach(function: Function, region: Region = None, *, plan: _Plan = False, as_json: Json = False) -> None:
    """Take away what `attach` gave a function, and give back what was there before."""
    aws = open_session(region)
    found = read_settled(aws, function)
    wiring = plan_detachment(found)
    if not plan:
        carry_out(aws, found, wiring)
    _report(wiring, done=not plan, verb="detached", as_json=as_json)


def _newest(aws: Aws) -> str:
    found = newest_layer(aws, DISTRIBUTION)
    if found is None:
        raise NotFoundError(
            f"There is no layer {DISTRIBUTION} in {aws.region}.",
            hint="`efsprov layer bootstrap --publish` makes it; --layer ARN names another one.",
        )
    return found[0]


def _report(plan: WiringPlan, *, done: bool, verb: str, as_json: bool) -> None:
    if as_json:
        print_json({"done": done, "plan": plan.model_dump(mode="json")})
        return
    if not plan.settings:
        out.print(f"[green]✓[/] {plan.function}: nothing to do, it is as it should be.")
    else:
        shown = table("", "before", "after")
        for setting in plan.settings:
            shown.add_row(setting.what, setting.before or "-", setting.after or "-")
        print_table(shown)
        out.print(f"[green]✓[/] {plan.function} is {verb}." if done else "Nothing was changed.")
    for note in plan.notes:
        out.print(f"[cyan]note:[/] {note}")
