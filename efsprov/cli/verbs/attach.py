"""`efsprov attach` and `detach`: a user's function gets the file system, the shim and its variables, or gives them back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated

import typer

from efsprov.aws.access_point import access_point_arn
from efsprov.aws.aliases import list_aliases, move_alias, publish_version
from efsprov.aws.functions import FunctionConfig, Mounted
from efsprov.aws.layers import newest_layer
from efsprov.aws.session import Aws, open_session
from efsprov.cli.aws_options import AccessPoint, DryRun, Profile, Region, Subdirectory
from efsprov.cli.channel_source import InspectedRoot, StatedTarget, look_up_channels
from efsprov.cli.console import out, print_json, print_table, table
from efsprov.cli.options import BuilderFunction, Json
from efsprov.core.channel_name import check_channel_name
from efsprov.core.errors import EfsprovError, NotFoundError, UsageError
from efsprov.core.function_name import changeable_function
from efsprov.core.wording import join
from efsprov.emit.shim import DISTRIBUTION
from efsprov.functions.attachment import Attachment, WiringPlan, plan_attachment, plan_detachment
from efsprov.functions.channels import fitting_channel
from efsprov.functions.publication import check_publication, stale_aliases
from efsprov.functions.wiring import carry_out, read_settled

_Functions = Annotated[
    list[str], typer.Option("--function", metavar="NAME", help="A function's name or ARN; may be repeated.")
]
_Publish = Annotated[bool, typer.Option("--publish", help="Publish a version of the function as it is afterwards.")]
_Alias = Annotated[
    str | None, typer.Option("--alias", metavar="NAME", help="Have an alias lead to that version; with --publish.")
]
_Channels = Annotated[
    list[str], typer.Option("--channel", metavar="NAME", help="A channel that the function uses; may be repeated.")
]
_MountPath = Annotated[
    str | None, typer.Option("--mount-path", metavar="PATH", help="Where the function sees it (default: /mnt/efs).")
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


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("attach")(attach)
    app.command("detach")(detach)


def attach(
    function: _Functions,
    channel: _Channels,
    access_point: AccessPoint = None,
    mount_path: _MountPath = None,
    subdirectory: Subdirectory = "",
    layer: _Layer = None,
    subnet: _Subnets = None,
    security_group: _Groups = None,
    root: InspectedRoot = None,
    builder_function: BuilderFunction = None,
    target: StatedTarget = None,
    region: Region = None,
    profile: Profile = None,
    *,
    no_layer: _NoLayer = False,
    replace: _Replace = False,
    publish: _Publish = False,
    alias: _Alias = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give a function the file system, the shim's layer and its variables; everything else of it stays as it is."""
    names = tuple(name.strip() for text in channel for name in text.split(","))
    for name in names:
        check_channel_name(name)
    functions = _named(function)
    aws = open_session(region, profile)
    facts = look_up_channels(
        names, root=root, builder_function=builder_function, target=target, subdirectory=subdirectory, aws=aws
    )
    point = access_point_arn(access_point, aws) if access_point else None
    newest = cache(lambda: layer or _newest(aws))

    def plan(found: FunctionConfig) -> WiringPlan:
        fitting = [
            fitting_channel(facts, n, function=found.name, runtime=found.runtime, arch=found.arch) for n in names
        ]
        here = _mounted(found, point)
        path = mount_path or here.path or "/mnt/efs"
        variables = {"EFSPROV_ROOT": str(PurePosixPath(path, subdirectory)), "EFSPROV_CHANNEL": ",".join(names)}
        if not found.runtime and len(fitting) == 1:
            variables["EFSPROV_TARGET"] = fitting[0].target
        wanted = Attachment(
            access_point=here.access_point,
            mount_path=path,
            variables=variables,
            layer="" if no_layer or found.package == "Image" else newest(),
            subnets=tuple(subnet or ()),
            groups=tuple(security_group or ()),
            replace=replace,
        )
        return plan_attachment(found, wanted)

    ending = _Ending("attached", publish=publish, alias=alias, dry_run=dry_run, as_json=as_json)
    _change(aws, functions, plan, ending)


def detach(
    function: _Functions,
    region: Region = None,
    profile: Profile = None,
    *,
    publish: _Publish = False,
    alias: _Alias = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take away what `attach` gave a function, and give back what was there before."""
    ending = _Ending("detached", publish=publish, alias=alias, dry_run=dry_run, as_json=as_json)
    _change(open_session(region, profile), _named(function), plan_detachment, ending)


def _named(functions: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(changeable_function, functions)))


def _mounted(found: FunctionConfig, wanted: str | None) -> Mounted:
    """The access point that a function is to have, and where it has that already; "" for nowhere."""
    point = wanted or next((m.access_point for m in found.mounted if m.is_efs), None)
    if point is None:
        raise UsageError(
            f"Function {found.name} has no file system yet, and none is named.",
            hint="Name its access point by id or ARN: --access-point fsap-...",
        )
    return Mounted(point, next((m.path for m in found.mounted if m.access_point == point), ""))


@dataclass(frozen=True)
class _Ending:
    """What comes after a plan: whether it is carried out and published, and how that is told."""

    verb: str
    publish: bool
    alias: str | None
    dry_run: bool
    as_json: bool


def _change(aws: Aws, functions: Sequence[str], plan: Callable[[FunctionConfig], WiringPlan], ending: _Ending) -> None:
    """Plan all functions, then change them: what one of them refuses leaves all of them as they are."""
    jobs = []
    for name in functions:
        found = read_settled(aws, name)
        aliases = list_aliases(aws, found.name)
        check_publication(aliases, found.name, publish=ending.publish, alias=ending.alias)
        wiring = plan(found)
        notes = (*wiring.notes, *stale_aliases(aliases, found.name, ending.alias))
        jobs.append((found, wiring.model_copy(update={"notes": notes})))
    done: list[tuple[WiringPlan, str]] = []
    for found, wiring in jobs:
        try:
            done.append((wiring, "" if ending.dry_run else _carry_out(aws, found, wiring, ending)))
        except EfsprovError as error:
            if done and not ending.dry_run:
                names = join([before.function for before, _ in done])
                raise type(error)(
                    f"{error.message} {names} {'was' if len(done) == 1 else 'were'} changed before.", hint=error.hint
                ) from error
            raise
    _report(done, ending)


def _carry_out(aws: Aws, found: FunctionConfig, wiring: WiringPlan, ending: _Ending) -> str:
    """Change one function; the version that was published of it, "" for none."""
    after = carry_out(aws, found, wiring)
    version = publish_version(aws, after) if ending.publish else ""
    if ending.alias:
        move_alias(aws, found.name, ending.alias, version)
    return version


def _newest(aws: Aws) -> str:
    found = newest_layer(aws, DISTRIBUTION)
    if found is None:
        raise NotFoundError(
            f"There is no layer {DISTRIBUTION} in {aws.region}.",
            hint="`efsprov layer bootstrap --publish` makes it; --layer ARN names another one.",
        )
    return found[0]


def _report(done: Sequence[tuple[WiringPlan, str]], ending: _Ending) -> None:
    if ending.as_json:
        shown = [
            {
                "done": not ending.dry_run,
                "plan": plan.model_dump(mode="json"),
                "version": version or None,
                "alias": ending.alias,
            }
            for plan, version in done
        ]
        print_json(shown[0] if len(shown) == 1 else {"functions": shown})
        return
    for plan, version in done:
        _print(plan, version, ending)


def _print(plan: WiringPlan, version: str, ending: _Ending) -> None:
    if not plan.settings:
        out.print(f"[green]✓[/] {plan.function}: nothing to do, it is as it should be.")
    else:
        shown = table("", "before", "after")
        for setting in plan.settings:
            shown.add_row(setting.what, setting.before or "-", setting.after or "-")
        print_table(shown)
        unchanged = f"{plan.function}: nothing was changed."
        out.print(unchanged if ending.dry_run else f"[green]✓[/] {plan.function} is {ending.verb}.")
    if version:
        leads = f"; the alias {ending.alias} leads there" if ending.alias else ""
        out.print(f"[green]✓[/] Version {version} is published{leads}.")
    for note in plan.notes:
        out.print(f"[cyan]note:[/] {note}")
