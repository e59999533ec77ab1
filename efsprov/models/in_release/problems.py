"""What a step of an optimisation says when the user has to change something, and the versions of what it used."""

import importlib.metadata


class ProblemError(Exception):
    """The step cannot be done with this model, this data or this release; the message says why."""


def versions(*names: str) -> dict[str, str]:
    """The versions of those distributions that the release has."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
