"""`efsprov iac`: what has to exist in AWS, as files to put under version control."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from efsprov.builders.ec2.settings import Connect
from efsprov.cli.aws_options import AccessPoint
from efsprov.cli.console import out, print_json
from efsprov.cli.options import Json
from efsprov.core.access_point import access_point_id
from efsprov.core.command_words import REGION
from efsprov.core.errors import UsageError
from efsprov.core.partition import partition_of
from efsprov.emit.iam import Purpose, files
from efsprov.emit.iam_document import Scope
from efsprov.emit.shim import DISTRIBUTION

_FORMS: Final[Mapping[str, str]] = {
    "--account": r"\d{12}",
    "--region": REGION.pattern,
    "--file-system": r"fs-[0-9a-f]{8,40}",
    "--role": r"[\w+=,.@/-]+",
    "--function": r"[\w*-]+",
    "--builder-function": r"[\w-]+",
    "--bucket": r"[a-z0-9.-]{3,63}",
    "--prefix": r"[^*?$]*",
    "--layer": r"[\w-]{1,140}",
    "--partition": r"aws(-[a-z]+)*",
}
"""What the options may be. What else would stand in a policy as it was typed could widen it: an ARN's `*` and `?`."""

_For = Annotated[Purpose, typer.Option("--for", help="What the permissions are for.")]
_Account = Annotated[
    str, typer.Option("--account", metavar="NUMBER", help="The AWS account, by its number of twelve digits.")
]
_Region = Annotated[
    str, typer.Option("--region", envvar=["EFSPROV_REGION", "AWS_REGION"], metavar="NAME", help="The region.")
]
_FileSystem = Annotated[
    str, typer.Option("--file-system", envvar="EFSPROV_FILE_SYSTEM", metavar="fs-ID", help="The file system.")
]
_Role = Annotated[
    str,
    typer.Option("--role", metavar="NAME", help="The builder's role; with --for doctor that of the functions."),
]
_Connect = Annotated[Connect, typer.Option("--connect", envvar="EFSPROV_CONNECT", help="How EC2 builders are reached.")]
_Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--function",
        metavar="NAME",
        help="A function for `attach` and `doctor`, or a pattern (`ml-*`); may be repeated.",
    ),
]
_BuilderFunction = Annotated[
    str,
    typer.Option(
        "--builder-function",
        envvar="EFSPROV_BUILDER_FUNCTION",
        metavar="NAME",
        help="The Lambda builder; also where `attach` and `doctor` ask it.",
    ),
]
_Bucket = Annotated[str, typer.Option("--bucket", metavar="NAME", help="The bucket of models or bundles.")]
_Prefix = Annotated[str, typer.Option("--prefix", metavar="TEXT", help="What their keys begin with.")]
_Layer = Annotated[str, typer.Option("--layer", metavar="NAME", help="The layer that is published, with --for layer.")]
_Partition = Annotated[
    str | None,
    typer.Option("--partition", metavar="NAME", help="aws, aws-cn, aws-us-gov, ... (default: the region's)."),
]
_Which = Annotated[
    Literal["all", "orchestrator", "builder", "builder-trust", "function"],
    typer.Option("--policy", help="The policy to print."),
]
_Write = Annotated[
    Path | None, typer.Option("--write", metavar="DIR", help="Write the files there instead of printing them.")
]


def register(app: typer.Typer) -> None:
    """Add the verb and what it can print."""
    group = typer.Typer(no_args_is_help=True, help="Print what has to exist in AWS, as files for your version control.")
    group.command("iam")(iam)
    app.add_typer(group, name="iac")


def iam(
    account: _Account,
    region: _Region,
    purpose: _For = "ec2",
    file_system: _FileSystem = "",
    access_point: AccessPoint = None,
    role: _Role = "efsprov-builder",
    connect: _Connect = "public",
    function: _Functions = None,
    builder_function: _BuilderFunction = "",
    bucket: _Bucket = "",
    prefix: _Prefix = "",
    layer: _Layer = DISTRIBUTION,
    partition: _Partition = None,
    policy: _Which = "all",
    write: _Write = None,
    *,
    as_json: Json = False,
) -> None:
    """Print the IAM policies for one purpose: that of whoever runs efsprov, and those of the roles it hands out."""
    scope = Scope(
        account=account,
        region=region,
        file_system=file_system,
        access_point=access_point_id(access_point) if access_point else None,
        role=role,
        connect=connect,
        partition=partition or partition_of(region),
        functions=tuple(function or ()),
        builder_function=builder_function,
        bucket=bucket,
        prefix=prefix,
        layer=layer,
    )
    _check_forms(scope)
    made = files(scope, purpose)
    chosen = {name: text for name, text in made.items() if policy == "all" or name == f"{purpose}-{policy}-policy.json"}
    if not chosen:
        raise UsageError(f"There is no policy {policy} for {purpose}.", hint=f"There are: {', '.join(made)}.")
    if write is not None:
        _write(chosen, write)
    if as_json:
        print_json({"files": chosen, "written": str(write) if write is not None else None})
    elif write is not None:
        out.print(f"[green]✓[/] wrote {', '.join(chosen)} to {write}.")
    elif len(chosen) == 1:
        typer.echo(next(iter(chosen.values())), nl=False)
    else:
        typer.echo("\n".join(f"// {name}\n{text}" for name, text in chosen.items()), nl=False)


def _check_forms(scope: Scope) -> None:
    given: dict[str, tuple[str, ...]] = {
        "--account": (scope.account,),
        "--region": (scope.region,),
        "--file-system": (scope.file_system,),
        "--role": (scope.role,),
        "--function": scope.functions,
        "--builder-function": (scope.builder_function,),
        "--bucket": (scope.bucket,),
        "--prefix": (scope.prefix,),
        "--layer": (scope.layer,),
        "--partition": (scope.partition,),
    }
    for option, values in given.items():
        for value in values:
            if value and not re.fullmatch(_FORMS[option], value, re.ASCII):
                raise UsageError(
                    f"{value!r} is not what {option} takes.",
                    hint="An account is its twelve digits (`aws sts get-caller-identity`), everything else a name or an id, "
                    "not an ARN.",
                )


def _write(chosen: dict[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in chosen.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written to: {error.strerror}.", hint="Name another folder with --write."
        ) from error
