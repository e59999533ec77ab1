"""Release ids: UTC time and lock digest, `20261121T063000Z-3f2a9c1b`. Ids of a channel only grow."""

import re
from datetime import UTC, datetime, timedelta

from efsprov.core.errors import UsageError

_FORM = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8})")
_TIME = "%Y%m%dT%H%M%SZ"


def new_release_id(digest: str, *, now: datetime, newest: str | None) -> str:
    """Name a release by ``now`` (aware) and the first 8 hex digits of ``digest``.

    ``newest`` is the channel's newest id so far. Where the clock stands behind it, the id goes one second past it
    instead: ids order releases, and a clock that was set back must not make a new release look old.
    """
    at = now.astimezone(UTC).replace(microsecond=0)
    if newest is not None:
        at = max(at, release_time(newest) + timedelta(seconds=1))
    return f"{at.strftime(_TIME)}-{digest[:8]}"


def release_time(release: str) -> datetime:
    """Return the UTC time in a release id; raises ``UsageError`` where it is none."""
    match = _FORM.fullmatch(release)
    if match:
        try:
            return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
        except ValueError:
            pass  # the form is right, the date is not: 20261399T...
    raise UsageError(
        f"{release!r} is not a release id.",
        hint="An id looks like 20261121T063000Z-3f2a9c1b; `efsprov list` shows those that exist.",
    )


def is_release_id(text: str) -> bool:
    """Tell whether ``text`` is a release id."""
    try:
        release_time(text)
    except UsageError:
        return False
    return True
