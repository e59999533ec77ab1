"""The options about machines to build on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from efsprov.builders.ec2.settings import Connect
from efsprov.cli.aws_options import AccessPoint, Profile, Region
from efsprov.core.access_point import access_point_id
from efsprov.core.errors import UsageError

_SSH: Final = "With --builder ssh"
_EC2: Final = "With --builder ec2"

Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        envvar="EFSPROV_HOST",
        metavar="[USER@]HOST[:PORT]",
        help="The host to build on.",
        rich_help_panel=_SSH,
    ),
]
HostKey = Annotated[
    str | None,
    typer.Option(
        "--host-key",
        envvar="EFSPROV_HOST_KEY",
        metavar="KEY",
        help="The host's key, 'ssh-ed25519 AAAA...' (default: known_hosts decides).",
        rich_help_panel=_SSH,
    ),
]
Identity = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        envvar="EFSPROV_IDENTITY",
        metavar="FILE",
        help="The private key to log in with (default: the agent's, ~/.ssh).",
        rich_help_panel=_SSH,
    ),
]
FileSystem = Annotated[
    str | None,
    typer.Option(
        "--file-system",
        envvar="EFSPROV_FILE_SYSTEM",
        metavar="fs-ID",
        help="The file system to mount at /mnt/efs.",
        rich_help_panel=_EC2,
    ),
]
InstanceProfile = Annotated[
    str | None,
    typer.Option(
        "--instance-profile",
        envvar="EFSPROV_INSTANCE_PROFILE",
        metavar="NAME",
        help="The instance profile with the builder's role.",
        rich_help_panel=_EC2,
    ),
]
InstanceTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--instance-type",
        metavar="TYPE",
        help="May be repeated: the next one when there is no capacity.",
        rich_help_panel=_EC2,
    ),
]
Subnets = Annotated[
    list[str] | None,
    typer.Option(
        "--subnet",
        metavar="subnet-ID",
        help="May be repeated (default: those of the mount targets).",
        rich_help_panel=_EC2,
    ),
]
Spot = Annotated[
    bool | None,
    typer.Option("--spot/--on-demand", help="Pay the spot price; it may be taken away.", rich_help_panel=_EC2),
]
ConnectBy = Annotated[
    Connect | None,
    typer.Option(
        "--connect", envvar="EFSPROV_CONNECT", help="How to reach the instance (default: public).", rich_help_panel=_EC2
    ),
]
KeepOnFailure = Annotated[
    bool | None,
    typer.Option(
        "--keep-on-failure", help="Leave the instance of a build that fails, to look around on.", rich_help_panel=_EC2
    ),
]
Minutes = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        envvar="EFSPROV_TIMEOUT",
        metavar="MINUTES",
        help="What a build on a machine may take (default: 120).",
    ),
]

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class MachineFlags:
    """The options about machines; None where they say nothing."""

    host: Host = None
    host_key: HostKey = None
    identity: Identity = None
    region: Region = None
    profile: Profile = None
    file_system: FileSystem = None
    access_point: AccessPoint = None
    instance_profile: InstanceProfile = None
    instance_types: InstanceTypes = None
    subnets: Subnets = None
    spot: Spot = None
    connect: ConnectBy = None
    keep_on_failure: KeepOnFailure = None
    minutes: Minutes = None


def merge_flags(section: S, flags: MachineFlags) -> S:
    """Return the section of the settings file with the options that were given over it; raises ``UsageError``."""
    kind = type(section)
    point = access_point_id(flags.access_point) if flags.access_point else None
    given = {
        name: value
        for name, value in {**vars(flags), "access_point": point}.items()
        if name in kind.model_fields and value not in (None, [])
    }
    try:
        return kind.model_validate({**section.model_dump(), **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = (
            f"{first['input']!r} will not do as {first['loc'][0]}"
            if first["loc"]
            else "The options do not fit together"
        )
        raise UsageError(
            f"{what}: {first['msg']}.",
            hint="`efsprov sync --help` and docs/reference/configuration.md say what it may be.",
        ) from error
