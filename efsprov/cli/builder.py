"""From a builder's name to the builder."""

from efsprov.builders.local import LocalBuilder
from efsprov.builders.builder import Builder
from efsprov.core.errors import UsageError


def choose_builder(name: str) -> Builder:
    """Return the builder that `--builder` names."""
    if name == "local":
        return LocalBuilder()
    raise UsageError(f"There is no builder {name!r}.", hint="Use --builder local.")
