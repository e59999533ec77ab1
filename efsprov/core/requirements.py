"""Reads single requirements (PEP 508)."""

from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from efsprov.core.errors import UsageError
from efsprov.core.masking import mask

HINT: Final = "A requirement looks like `tensorflow==2.15`, `torch>=2.6,<2.8` or `NAME @ https://host/the.whl`."


def check_requirement(text: str) -> str:
    """Return a requirement without the space around it; raises ``UsageError`` when it is none."""
    text = text.strip()
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"{mask(text)!r} is not a requirement: {mask(_first_line(error))}.", hint=HINT) from error
    return text


def requirement_name(text: str) -> str:
    """Return the normalised name of the distribution that a requirement is about (PEP 503)."""
    return canonicalize_name(Requirement(text).name)


def allows_prerelease(text: str) -> bool:
    """Tell whether a requirement speaks of a pre-release itself, `tensorflow==2.22.0rc0`, or names a file."""
    requirement = Requirement(text)
    return bool(requirement.specifier.prereleases) or requirement.url is not None


def _first_line(error: InvalidRequirement) -> str:
    return str(error).splitlines()[0].rstrip(".")
