"""From a builder's name to the builder."""

import typer

from efsprov.aws.session import open_session
from efsprov.builders.builder import Builder
from efsprov.builders.lambda_builder import LambdaBuilder
from efsprov.builders.local import LocalBuilder
from efsprov.cli.machines import MachineFlags, ec2_builder, ssh_builder
from efsprov.core.errors import UsageError
from efsprov.pipeline.installer_settings import InstallerSettings


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
    that ``context`` names; ``function`` is the Lambda builder's, in the region that the flags name.
    """
    if name == "local":
        return LocalBuilder(settings)
    if name == "ssh":
        return ssh_builder(context, flags, settings)
    if name == "ec2":
        return ec2_builder(context, flags, settings)
    if name == "lambda":
        if function is None:
            raise UsageError(
                "No builder function is named.",
                hint="--builder-function NAME, or builder_function in efsprov.toml; `efsprov builder deploy` makes one.",
            )
        return LambdaBuilder(open_session(flags.region), function)
    raise UsageError(f"There is no builder {name!r}.", hint="Use --builder local, ssh, ec2 or lambda.")
