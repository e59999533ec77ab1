"""From a builder's name to the builder. Each is imported when it is named: boto3 and paramiko take 0.3 s, which a build
on this machine should not wait for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from efsprov.builders.builder import Builder
from efsprov.cli.builder_options import MachineFlags, merge_flags
from efsprov.cli.config import load_config
from efsprov.core.build import BuilderName
from efsprov.core.errors import UsageError
from efsprov.pipeline.tools.installer_settings import InstallerSettings

if TYPE_CHECKING:
    from efsprov.builders.ec2.builder import Ec2Builder


@dataclass(frozen=True)
class Order:
    """What a builder is made from.

    ``settings`` say where packages come from, ``flags`` what the options about machines said, over the settings file
    that ``context`` names; ``function`` is the Lambda builder's.
    """

    settings: InstallerSettings
    context: typer.Context
    flags: MachineFlags
    function: str | None = None


def choose_builder(name: BuilderName, order: Order) -> Builder:
    """Return the builder that `--builder` names; raises ``UsageError`` for settings that it cannot work with."""
    return FACTORIES[name](order)


def _local_builder(order: Order) -> Builder:
    from efsprov.builders.local import LocalBuilder

    return LocalBuilder(order.settings)


def ec2_builder(context: typer.Context, flags: MachineFlags, installer: InstallerSettings) -> "Ec2Builder":
    """Return the EC2 builder that the options and `[ec2]` of the settings file describe; raises ``UsageError``."""
    from efsprov.builders.ec2.builder import Ec2Builder
    from efsprov.builders.ssh.builder import Efsprov, index_environment

    settings = merge_flags(load_config(_file(context)).ec2, flags)
    settings.complete()
    return Ec2Builder(settings, Efsprov(installer), environment=index_environment(installer))


def _ssh_builder(order: Order) -> Builder:
    from efsprov.builders.ssh.builder import Efsprov, SshBuilder, index_environment

    installer, settings = order.settings, merge_flags(load_config(_file(order.context)).ssh, order.flags)
    return SshBuilder(
        settings.target,
        Efsprov(installer, settings.python),
        environment=index_environment(installer),
        seconds=settings.minutes * 60,
    )


def _lambda_builder(order: Order) -> Builder:
    from efsprov.aws.session import open_session
    from efsprov.builders.on_lambda.builder import LambdaBuilder

    if order.function is None:
        raise UsageError(
            "No builder function is named.",
            hint="--builder-function NAME or EFSPROV_BUILDER_FUNCTION; `efsprov builder deploy` makes one.",
        )
    return LambdaBuilder(open_session(order.flags.region, order.flags.profile), order.function)


def _file(context: typer.Context) -> Path | None:
    return context.parent.params.get("config") if context.parent else None


FACTORIES: Final[Mapping[BuilderName, Callable[[Order], Builder]]] = {
    "local": _local_builder,
    "ssh": _ssh_builder,
    "ec2": lambda order: ec2_builder(order.context, order.flags, order.settings),
    "lambda": _lambda_builder,
}
