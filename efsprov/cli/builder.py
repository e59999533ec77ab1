"""From a builder's name to the builder. Each is imported when it is named: boto3 and paramiko take 0.3 s, which a build
on this machine should not wait for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from efsprov.builders.builder import Builder
from efsprov.cli.config import load_config
from efsprov.cli.machines import MachineFlags, merge_flags
from efsprov.core.errors import UsageError
from efsprov.pipeline.installer_settings import InstallerSettings

if TYPE_CHECKING:
    from efsprov.builders.ec2.builder import Ec2Builder


def choose_builder(
    name: str,
    settings: InstallerSettings,
    *,
    context: typer.Context,
    flags: MachineFlags,
    function: str | None = None,
) -> Builder:
    """Return the builder that `--builder` names.

    ``settings`` say where packages come from, ``flags`` what the options about machines said, over the settings file
    that ``context`` names; ``function`` is the Lambda builder's.
    """
    if name == "local":
        from efsprov.builders.local import LocalBuilder

        return LocalBuilder(settings)
    if name == "ssh":
        return _ssh_builder(context, flags, settings)
    if name == "ec2":
        return ec2_builder(context, flags, settings)
    if name == "lambda":
        return _lambda_builder(function)
    raise UsageError(f"There is no builder {name!r}.", hint="Use --builder local, ssh, ec2 or lambda.")


def ec2_builder(context: typer.Context, flags: MachineFlags, installer: InstallerSettings) -> "Ec2Builder":
    """Return the EC2 builder that the options and `[ec2]` of the settings file describe; raises ``UsageError``."""
    from efsprov.builders.ec2.builder import Ec2Builder
    from efsprov.builders.ssh_builder import Efsprov, index_environment

    settings = merge_flags(load_config(_file(context)).ec2, flags)
    settings.complete()
    return Ec2Builder(settings, Efsprov(installer), environment=index_environment(installer))


def _ssh_builder(context: typer.Context, flags: MachineFlags, installer: InstallerSettings) -> Builder:
    from efsprov.builders.ssh_builder import Efsprov, SshBuilder, index_environment

    settings = merge_flags(load_config(_file(context)).ssh, flags)
    return SshBuilder(
        settings.target,
        Efsprov(installer, settings.python),
        environment=index_environment(installer),
        seconds=settings.minutes * 60,
    )


def _lambda_builder(function: str | None) -> Builder:
    from efsprov.aws.session import open_session
    from efsprov.builders.lambda_builder import LambdaBuilder

    if function is None:
        raise UsageError(
            "No builder function is named.",
            hint="--builder-function NAME or EFSPROV_BUILDER_FUNCTION; `efsprov builder deploy` makes one.",
        )
    return LambdaBuilder(open_session(), function)


def _file(context: typer.Context) -> Path | None:
    return context.parent.params.get("config") if context.parent else None
