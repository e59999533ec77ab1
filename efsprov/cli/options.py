"""The options that several verbs share."""

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"efsprov {installed_version('efsprov')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=lambda wanted: _print_version(wanted=wanted), is_eager=True, help="Print the version."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="EFSPROV_CONFIG", metavar="FILE", help="Settings (default: efsprov.toml here or above)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
RootDirectory = Annotated[
    Path,
    typer.Option(
        "--root", envvar="EFSPROV_ROOT", metavar="DIR", help="Where the file system is mounted.", show_default=False
    ),
]
ChannelName = Annotated[
    str | None,
    typer.Option(
        "--channel", envvar="EFSPROV_CHANNEL", metavar="NAME", help="The channel (default: the only one there is)."
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        "--runtime", envvar="EFSPROV_RUNTIME", metavar="NAME", help="The channel's runtime, where it has several."
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch", envvar="EFSPROV_ARCH", metavar="ARCH", help="The channel's architecture, where it has several."
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Every channel and every model of the root.")]
Again = Annotated[bool, typer.Option("--again", help="Make current even what somebody rolled back from.")]
ReleaseId = Annotated[
    str, typer.Argument(metavar="ID", help="A release's id, enough of its start or end, `current` or `previous`.")
]
OptionalReleaseId = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="A release's id, enough of its start or end, `current` or `previous`."),
]
BuilderFunction = Annotated[
    str | None,
    typer.Option(
        "--builder-function",
        envvar="EFSPROV_BUILDER_FUNCTION",
        metavar="NAME",
        help="The builder function, which looks at the channels where nothing is mounted here.",
    ),
]
