"""What a doctor says: one line a finding, and its remediation."""

from typing import Literal

from efsprov.core.frozen import Frozen
from efsprov.functions.facts import Unread

Level = Literal["ok", "warning", "problem", "unknown"]


class Finding(Frozen):
    """``check`` names what was looked at. A "problem" keeps things from working, a "warning" makes them slow or dear.

    "unknown" is what could not be read. ``remediation`` says what to do; "" where nothing is to be done.
    """

    check: str
    level: Level
    message: str
    remediation: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", message=message)


def warning(check: str, message: str, remediation: str) -> Finding:
    """It works, but slowly, dearly or not for long."""
    return Finding(check=check, level="warning", message=message, remediation=remediation)


def problem(check: str, message: str, remediation: str) -> Finding:
    """It does not work."""
    return Finding(check=check, level="problem", message=message, remediation=remediation)


def unknown(check: str, unread: Unread, remediation: str = "") -> Finding:
    """It could not be read."""
    return Finding(check=check, level="unknown", message=unread.why, remediation=remediation)
