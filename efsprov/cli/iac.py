"""`efsprov iac`: what has to exist in AWS, as files to put under version control."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from efsprov.builders.ec2.settings import Connect
from efsprov.cli.console import out, print_json
from efsprov.cli.options import Json
from efsprov.core.errors import UsageError
from efsprov.emit.iam import Scope, policies

_Account = Annotated[str, typer.Option("--account", metavar="NUMBER", help="The AWS account.")]
_Region = Annotated[
    str, typer.Option("--region", envvar=["EFSPROV_REGION", "AWS_REGION"], metavar="NAME", help="The region.")
]
_FileSystem = Annotated[
    str, typer.Option("--file-system", envvar="EFSPROV_FILE_SYSTEM", metavar="fs-ID", help="The file system.")
]
_AccessPoint = Annotated[
    str | None,
    typer.Option(
        "--access-point", envvar="EFSPROV_ACCESS_POINT", metavar="fsap-ID", help="The access point, where one is used."
    ),
]
_Role = Annotated[str, typer.Option("--role", metavar="NAME", help="The builder's role, in its instance profile.")]
_Connect = Annotated[Connect, typer.Option("--connect", envvar="EFSPROV_CONNECT", help="How builders are reached.")]
_Partition = Annotated[str, typer.Option("--partition", metavar="NAME", help="aws, aws-cn or aws-us-gov.")]
_Which = Annotated[
    Literal["all", "orchestrator", "builder", "builder-trust"], typer.Option("--policy", help="The policy to print.")
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
    file_system: _FileSystem,
    access_point: _AccessPoint = None,
    role: _Role = "efsprov-builder",
    connect: _Connect = "public",
    partition: _Partition = "aws",
    policy: _Which = "all",
    write: _Write = None,
    *,
    as_json: Json = False,
) -> None:
    """Print the IAM policies for EC2 builders: the one of whoever launches them, and the one of the builder itself."""
    if not (account.isdigit() and len(account) == 12):
        raise UsageError(
            f"{account!r} is not the number of an AWS account.",
            hint="It has twelve digits: `aws sts get-caller-identity`.",
        )
    scope = Scope(account, region, file_system, access_point, role, connect, partition)
    files = {
        name: text for name, text in policies(scope).items() if policy in {"all", name.removesuffix("-policy.json")}
    }
    if write is not None:
        _write(files, write)
    if as_json:
        print_json({"files": files, "written": str(write) if write is not None else None})
    elif write is not None:
        out.print(f"[green]✓[/] wrote {', '.join(files)} to {write}.")
    elif len(files) == 1:
        typer.echo(next(iter(files.values())), nl=False)
    else:
        typer.echo("\n".join(f"// {name}\n{text}" for name, text in files.items()), nl=False)


def _write(files: dict[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written to: {error.strerror}.", hint="Name another folder with --write."
        ) from error
