"""From a builder's name to the builder."""

from efsprov.aws.session import open_session
from efsprov.builders.builder import Builder
from efsprov.builders.lambda_builder import LambdaBuilder
from efsprov.builders.local import LocalBuilder
from efsprov.core.errors import UsageError
from efsprov.pipeline.installer_settings import InstallerSettings


def choose_builder(name: str, settings: InstallerSettings, *, function: str | None = None) -> Builder:
    """Return the builder that `--builder` names; ``settings`` are for the local one, ``function`` is the Lambda builder's."""
    if name == "local":
        return LocalBuilder(settings)
    if name == "lambda":
        if function is None:
            raise UsageError(
                "No builder function is named.",
                hint="--builder-function NAME or EFSPROV_BUILDER_FUNCTION; `efsprov builder deploy` makes one.",
            )
        return LambdaBuilder(open_session(), function)
    raise UsageError(f"There is no builder {name!r}.", hint="Use --builder local or --builder lambda.")
