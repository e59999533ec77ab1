"""Reads requirements: those of the command line, and requirement files line by line."""

import re
from dataclasses import dataclass
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from efsprov.core.errors import UsageError

_HINT: Final = "A requirement looks like `tensorflow==2.15`, `torch>=2.6,<2.8` or `NAME @ https://host/the.whl`."
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_HASH = re.compile(r"\s+--hash[= ]\S+")
_INCLUDES: Final = {"-r": "requirements", "--requirement": "requirements", "--requirements": "requirements"}
_PER_FILE: Final = {
    *("-c", "--constraint", "--constraints", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"),
    *("--no-index", "--pre", "--prefer-binary", "--only-binary", "--no-binary", "--require-hashes", "--trusted-host"),
}


@dataclass(frozen=True)
class RequirementFile:
    """The requirements of a file and the further requirement files that it names, relative to it."""

    requirements: tuple[str, ...]
    includes: tuple[str, ...]


def check_requirement(text: str) -> str:
    """Return a requirement without the space around it; raises ``UsageError`` when it is none."""
    text = text.strip()
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is not a requirement: {_first_line(error)}.", hint=_HINT) from error
    return text


def requirement_name(text: str) -> str:
    """Return the normalised name of the distribution that a requirement is about (PEP 503)."""
    return canonicalize_name(Requirement(text).name)


def allows_prerelease(text: str) -> bool:
    """Tell whether a requirement speaks of a pre-release itself, `tensorflow==2.22.0rc0`, or names a file."""
    requirement = Requirement(text)
    return bool(requirement.specifier.prereleases) or requirement.url is not None


def parse_requirement_file(text: str, *, where: str) -> RequirementFile:
    """Read the text of a requirement file; raises ``UsageError`` with ``where`` and the line that is at fault."""
    requirements, includes = [], []
    for number, line in _logical_lines(text):
        option, value = _option(line)
        if option in _INCLUDES and value:
            includes.append(value)
        elif option in {"-e", "--editable"} or line.startswith((".", "/", "file:")):
            raise UsageError(
                f"{where}, line {number}: {line!r} names a folder or a file without its project's name.",
                hint="Name a wheel: `NAME @ file:///path/to/the.whl`; a project of your own must be built first.",
            )
        elif line.startswith("-"):
            if option not in _PER_FILE:
                raise UsageError(
                    f"{where}, line {number}: there is no option {option!r} in a requirement file.", hint=_HINT
                )
        else:
            try:
                Requirement(_HASH.sub("", line))
            except InvalidRequirement as error:
                raise UsageError(
                    f"{where}, line {number}: {line!r} is not a requirement: {_first_line(error)}.", hint=_HINT
                ) from error
            requirements.append(_HASH.sub("", line))
    return RequirementFile(tuple(requirements), tuple(includes))


def _option(line: str) -> tuple[str, str]:
    """Split `--option value`, `--option=value` and `-ovalue`."""
    if re.match(r"-[a-z]", line):
        return line[:2], line[2:].strip()
    option, value = [*re.split(r"[=\s]+", line, maxsplit=1), ""][:2]
    return option, value


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Join continued lines, drop comments; each line with the number of its first."""
    lines: list[tuple[int, str]] = []
    start, parts = 0, ""
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        start = start or number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            parts += raw[:-1] + " "
            continue
        line = _COMMENT.sub("", parts + raw).strip()
        if line:
            lines.append((start, line))
        start, parts = 0, ""
    if parts.strip():
        lines.append((start, parts.strip()))
    return lines


def _first_line(error: InvalidRequirement) -> str:
    return str(error).splitlines()[0].rstrip(".")
