"""Makes sense of what uv says when it cannot resolve."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """The ways in which resolving fails."""

    UNREACHABLE = auto()
    UNKNOWN_PACKAGE = auto()
    NO_VERSION = auto()
    NO_WHEEL = auto()
    CONFLICT = auto()
    HASH = auto()
    """A file that fits is there, and has another hash than the user pinned: ours, not uv's."""
    FILE = auto()
    SETTING = auto()
    OTHER = auto()


@dataclass(frozen=True)
class Failure:
    """Why uv failed: ``subject`` is the package or URL that it is about, ``explanation`` uv's own, cleaned up.

    ``offered`` are the tags of the wheels that there are, as far as uv names them; ``sources``: there are sources.
    """

    kind: Kind
    subject: str
    explanation: str
    offered: tuple[str, ...] = ()
    sources: bool = False


_FETCH = re.compile(r"(?:Failed to fetch|Failed to download|Could not connect)[^`\n]*?[:`]\s*`?(\S+?)`?(?:\n|$)")
_UNREACHABLE: Final = (
    "error sending request",
    "Failed to fetch",
    "Failed to download",
    "HTTP status",
    "Network connectivity is disabled",
)
_DENIED = re.compile(r"An index URL \((\S+)\) could not be queried due to (.*)")
_UNKNOWN = re.compile(r"([\w.-]+) was not found in the (?:package registry|provided package locations|cache)")
_NO_VERSION = re.compile(r"(?:there is no version of|there are no versions of|only) ([\w.-]+?)(?=[=<>!~\s])(\S*)")
_NO_WHEEL = re.compile(
    r"([\w.-]+?)((?:[=<>!~]=?\S+)?) (?:has no wheels with|has no usable wheels|has no (?:compatible )?wheels|all have no wheels|"
    r"have no wheels|have no usable wheels)"
)
_PYTHON = re.compile(r"requested Python version .*? does not satisfy")
_OFFERED = re.compile(r"(?:tags?|platforms?): ((?:`[^`]+`(?:, )?)+)")
_NOISE = re.compile(r"^(?:error|warning): |^\s*cause: ", re.MULTILINE)
_CONCLUSION = re.compile(r",? we can conclude that your requirements are unsatisfiable\.?")
_PARSE = re.compile(
    r"Couldn't parse|Unexpected '|Error parsing included file|File not found|failed to read from file|Unsupported"
)


_SETTING = re.compile(
    r"--find-links|environment variable|invalid value|failed to open file|Failed to initialize cache|unexpected argument"
    r"|Failed to parse|conflicting"
)


def understand(stderr: str) -> Failure:
    """Tell the kind of failure by uv's message."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("warning:")]
    text = "\n".join(lines)
    if match := _DENIED.search(text):
        return Failure(Kind.UNREACHABLE, match[1], match[2])
    if any(sign in text for sign in _UNREACHABLE):
        match = _FETCH.search(text)
        return Failure(
            Kind.UNREACHABLE, match[1] if match else "the package index", lines[-1].strip().removeprefix("cause: ")
        )
    if _PARSE.search(text):
        return Failure(Kind.FILE, "", _explain(text))
    if "No solution found" in text:
        return _explain_failure(text)
    return Failure(Kind.SETTING if _SETTING.search(text) else Kind.OTHER, "", _explain(text))


def _explain_failure(text: str) -> Failure:
    explanation = _explain(text)
    if match := _UNKNOWN.search(text):
        return Failure(Kind.UNKNOWN_PACKAGE, match[1], explanation)
    match = _NO_WHEEL.search(text)
    if match or _PYTHON.search(text):
        return Failure(
            Kind.NO_WHEEL, match[1] if match else "", explanation, _offered(text), "no usable wheels" in text
        )
    cause = text.partition("cause: ")[2]
    if (match := _NO_VERSION.search(cause)) and " depends on " not in cause:
        return Failure(Kind.NO_VERSION, match[1], explanation)
    return Failure(Kind.CONFLICT, "", explanation)


def _offered(text: str) -> tuple[str, ...]:
    """Return the tags that uv's hint lists behind "tags:" or "platforms:"."""
    return tuple(
        tag for found in _OFFERED.finditer(text.partition("\nhint:")[2]) for tag in re.findall(r"`([^`]+)`", found[1])
    )


def _explain(text: str) -> str:
    """Leave of uv's message what a reader needs: no labels, no hints, no closing formula."""
    cause = text.partition("\nhint:")[0]
    cause = cause.partition("No solution found when resolving dependencies")[2] or cause
    words = " ".join(_NOISE.sub("", cause).split())
    return _CONCLUSION.sub(", there is no solution.", words).strip(" :")
