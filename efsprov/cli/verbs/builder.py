"""`efsprov builder deploy`, `remove` and `follow`: the function that builds."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from efsprov.aws.access_point import access_point_arn
from efsprov.aws.session import open_session
from efsprov.builders.on_lambda.builder import LambdaBuilder
from efsprov.builders.on_lambda.deploy import MEMORY, TIMEOUT, TMP, BuilderSpec, deploy, plan_deploy, remove
from efsprov.builders.on_lambda.package import make_package
from efsprov.cli.aws_options import DryRun, Profile, Region, RequiredAccessPoint, Subdirectory
from efsprov.cli.channel_source import builder_root
from efsprov.cli.config import load_config
from efsprov.cli.confirm import Yes, confirmed
from efsprov.cli.console import out, print_json, print_table, size, table
from efsprov.cli.options import Json
from efsprov.cli.progress import shown_progress
from efsprov.core.errors import UsageError
from efsprov.core.target import ARCHES, lambda_target
from efsprov.emit.archive import MAX_UNZIPPED
from efsprov.pipeline.tools.installer_settings import installer_settings

_Function = Annotated[
    str,
    typer.Option("--function", envvar="EFSPROV_BUILDER_FUNCTION", metavar="NAME", help="The builder function's name."),
]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="A tag of the function; may be repeated."),
]
_MountPath = Annotated[
    str, typer.Option("--mount-path", metavar="PATH", help="Where the function sees the file system.")
]
_Run = Annotated[str, typer.Option("--run", metavar="ID", help="The run's id, which `efsprov sync` prints.")]
_Role = Annotated[str, typer.Option("--role", metavar="ARN", help="The function's role.")]
_Subnets = Annotated[
    list[str], typer.Option("--subnet", metavar="ID", help="A subnet with a way to the internet; may be repeated.")
]
_Groups = Annotated[
    list[str], typer.Option("--security-group", metavar="ID", help="The function's security group; may be repeated.")
]
_Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="The runtime that it builds for: python3.11 or newer.")
]
_Arch = Annotated[str, typer.Option("--arch", metavar="ARCH", help="The architecture that it builds for.")]
_Memory = Annotated[int, typer.Option("--memory", metavar="MB", help="Memory; processors and network grow with it.")]
_Tmp = Annotated[
    int, typer.Option("--tmp", metavar="MB", help="Room in /tmp: wheels and the installed tree lie there.")
]
_Timeout = Annotated[int, typer.Option("--timeout", metavar="SECONDS", help="The longest invocation.")]
_Variables = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="A variable of the function: a proxy, an index's credentials; may be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verbs = typer.Typer(no_args_is_help=True, help="Make, remove and follow the Lambda function that builds.")
    verbs.command("deploy")(deploy_function)
    verbs.command("remove")(remove_function)
    verbs.command("follow")(follow)
    app.add_typer(verbs, name="builder")


def deploy_function(
    context: typer.Context,
    function: _Function,
    role: _Role,
    access_point: RequiredAccessPoint,
    subnet: _Subnets,
    security_group: _Groups,
    runtime: _Runtime,
    arch: _Arch = "x86_64",
    mount_path: _MountPath = "/mnt/efs",
    memory: _Memory = MEMORY,
    tmp: _Tmp = TMP,
    timeout: _Timeout = TIMEOUT,
    env: _Variables = None,
    tag: _Tags = None,
    region: Region = None,
    profile: Profile = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make the builder function, or bring it up to date with this efsprov; a second time changes nothing."""
    if arch not in ARCHES:
        raise UsageError(f"There is no architecture {arch!r} in Lambda.", hint="--arch takes x86_64 or arm64.")
    aws = open_session(region, profile)
    spec = BuilderSpec(
        name=function,
        target=lambda_target(runtime, arch),
        role=role,
        access_point=access_point_arn(access_point, aws),
        mount_path=mount_path,
        subnets=tuple(subnet),
        groups=tuple(security_group),
        memory=memory,
        tmp=tmp,
        timeout=timeout,
        variables=tuple(_pair(text, "--env") for text in env or ()),
        tags=tuple(_pair(text, "--tag") for text in tag or ()),
    )
    config = load_config(context.find_root().params.get("config"))
    package = make_package(spec.target, installer_settings(config.installer, os.environ, folder=Path.cwd()))
    done = plan_deploy(aws, spec, package)[0] if dry_run else deploy(aws, spec, package)
    if as_json:
        sizes = {
            "size": len(package.archive),
            "unzipped": package.unzipped,
            "limit": MAX_UNZIPPED,
            "sha256": package.sha256,
        }
        shown = {"function": done.function, "action": done.action, "code": done.code, "changes": dict(done.changes)}
        print_json({"done": not dry_run, "deployment": shown, "package": sizes})
        return
    changes = table("setting", "value")
    for name, value in done.changes.items():
        changes.add_row(name, _plainly(value))
    if done.changes:
        print_table(changes)
    out.print(f"The package: {size(len(package.archive))}, {size(package.unzipped)} unzipped of {size(MAX_UNZIPPED)}.")
    words = {"create": "is made", "update": "is up to date now", "nothing": "was up to date"}
    out.print(
        f"Nothing was changed; to do: {done.action}."
        if dry_run
        else f"[green]✓[/] {done.function} {words[done.action]}."
    )


def remove_function(
    function: _Function, region: Region = None, profile: Profile = None, *, yes: Yes = False, as_json: Json = False
) -> None:
    """Delete the builder function; releases stay. A function that efsprov did not make is left alone."""
    if not yes and not confirmed(f"Delete the function {function}?", as_json=as_json):
        if as_json:
            print_json({"removed": None})
        return
    remove(open_session(region, profile), function)
    if as_json:
        print_json({"removed": function})
    else:
        out.print(f"[green]✓[/] {function} is deleted.")


def follow(
    function: _Function,
    run: _Run,
    subdirectory: Subdirectory = "",
    region: Region = None,
    profile: Profile = None,
    *,
    as_json: Json = False,
) -> None:
    """Go on with a run whose sync was interrupted, to its end, and show how it ended."""
    aws = open_session(region, profile)
    with shown_progress() as emit:
        result = LambdaBuilder(aws, function).reattach(run, builder_root(aws, function, subdirectory), emit)
    if as_json:
        print_json({"result": result.model_dump(mode="json")})
    else:
        out.print(
            f"[green]✓[/] {result.outcome}: release {result.release}"
            + (", which is current." if result.activated else ".")
        )


def _plainly(value: object) -> str:
    """Write a setting of Lambda's as people would: no braces, no quotes."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_plainly(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plainly, value))
    return str(value)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} has no value.", hint=f"{option} NAME=VALUE")
    return name, value
