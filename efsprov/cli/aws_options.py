"""The options of every verb that talks to AWS, declared once."""

from typing import Annotated

import typer

Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        envvar="EFSPROV_REGION",
        metavar="NAME",
        help="The AWS region (default: AWS_REGION, or the profile's).",
    ),
]
Profile = Annotated[
    str | None, typer.Option("--profile", envvar="AWS_PROFILE", metavar="NAME", help="The AWS profile to use.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]
AccessPoint = Annotated[
    str | None,
    typer.Option(
        "--access-point",
        envvar="EFSPROV_ACCESS_POINT",
        metavar="ID|ARN",
        help="The file system's access point (default: the one that the function has).",
    ),
]
RequiredAccessPoint = Annotated[
    str,
    typer.Option(
        "--access-point", envvar="EFSPROV_ACCESS_POINT", metavar="ID|ARN", help="The file system's access point."
    ),
]
Subdirectory = Annotated[
    str,
    typer.Option("--subdirectory", metavar="FOLDER", help="Subdirectory of the file system used as the root."),
]
