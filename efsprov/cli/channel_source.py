"""Where the verbs about functions learn what the channels hold: a mount here, the builder function, or the user's word."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from efsprov.aws.functions import get_function
from efsprov.aws.session import Aws
from efsprov.builders.on_lambda.calls import inspect_root
from efsprov.core.errors import BuilderError, UsageError
from efsprov.functions.channels import ChannelFacts, read_channels, stated_channels

InspectedRoot = Annotated[
    Path | None,
    typer.Option(
        "--root",
        envvar="EFSPROV_ROOT",
        metavar="DIR",
        help="Where the file system is mounted here, to look at the channels.",
    ),
]
StatedTarget = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="TARGET", help="What the channels are built for, where nobody can look: python3.11-x86_64."
    ),
]


def look_up_channels(
    names: Sequence[str],
    *,
    root: Path | None,
    builder_function: str | None,
    target: str | None,
    subdirectory: str = "",
    aws: Aws,
) -> tuple[ChannelFacts, ...]:
    """Return what the channels hold; raises ``UsageError`` when there is no way to tell.

    ``subdirectory`` is the folder of the file system that is used as the root; empty means all of it.
    """
    if target is not None:
        return stated_channels(names, target)
    if root is not None and (builder_function is None or root.is_dir()):
        return read_channels(root)
    if builder_function is not None:
        seen = inspect_root(aws, builder_function, builder_root(aws, builder_function, subdirectory))
        return tuple(ChannelFacts.model_validate(result) for result in seen["channels"])
    raise UsageError(
        "Nothing tells what the channels are built for, so whether they fit the function.",
        hint="--root DIR where the file system is mounted here, --builder-function NAME, or --target python3.11-x86_64.",
    )


def builder_root(aws: Aws, builder_function: str, subdirectory: str = "") -> str:
    """Return the root's path in a builder function; raises ``BuilderError`` when it has no file system."""
    found = get_function(aws, builder_function)
    if not found.mounted:
        raise BuilderError(
            f"Function {found.name} has no file system: it is not a builder function.",
            hint="`efsprov builder deploy --function NAME` makes one.",
        )
    return str(PurePosixPath(found.mounted[0].path, subdirectory))
