"""The tags by which efsprov knows what it made, and since when it may go."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

RUN: Final = "efsprov:run"
EXPIRES: Final = "efsprov:expires"
MARKED: Final = "efsprov:marked"
BUILDER_FUNCTION: Final = "efsprov:builder"
"""On a Lambda function: it is efsprov's own builder function."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def run_tags(run: str, *, expires: datetime, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags of everything that a run makes; ``extra`` are the user's own, and do not replace efsprov's."""
    return {**(extra or {}), "Name": resource_name(run), RUN: run, EXPIRES: write_time(expires)}


def resource_name(run: str) -> str:
    """Return the name of a run's key pair, security group and instance: unique as the run's id is."""
    return f"efsprov-{run}"


def write_time(at: datetime) -> str:
    """Write an aware time as it stands in a tag: UTC, to the second."""
    return at.astimezone(UTC).strftime(_TIME)


def read_time(text: str | None) -> datetime | None:
    """Read a tag's time; None when there is none or it is not of the form that efsprov writes."""
    try:
        return datetime.strptime(text or "", _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
