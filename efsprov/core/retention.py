"""Which releases of a channel stay and which may go: one decision with its reason for each.

Nothing here trusts a single clock. The age of what happened is taken by each clock that saw it (the writers', whose
times are in the journal, and the file server's, which stamped the entries), the youngest counts, and a release goes only
when it is older than the grace time by as much as both readings of a clock may be wrong.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from efsprov.core.errors import UsageError
from efsprov.core.history import Release, State


@dataclass(frozen=True)
class Rules:
    """What to keep: the newest ``keep_last`` releases, and whatever was in use less than ``grace`` ago.

    ``clock_error`` is how far a clock may be off in either direction. A grace of 0 leaves age out of account.
    """

    keep_last: int = 5
    grace: timedelta = timedelta(hours=72)
    clock_error: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if self.keep_last < 0 or min(self.grace, self.clock_error) < timedelta(0):
            raise UsageError("A rule of prune is negative.", hint="Use 0 or more: --keep-last 5 --grace-hours 72.")

    @property
    def age_to_go(self) -> timedelta:
        """The age that a release must have by every clock: an age is the difference of two readings."""
        return self.grace + 2 * self.clock_error if self.grace else timedelta(0)


@dataclass(frozen=True)
class Clocks:
    """What time it is by the deciding machine's clock and by the server's; when the server stored which entry."""

    now: datetime
    server_now: datetime | None = None
    stored: Mapping[int, datetime] = field(default_factory=dict)

    def age(self, entry: int, at: datetime) -> timedelta:
        """Return how long ago entry number ``entry``, whose writer's clock said ``at``, was written at the least."""
        ages = [self.now - at]
        if self.server_now is not None and entry in self.stored:
            ages.append(self.server_now - self.stored[entry])
        return min(ages)


@dataclass(frozen=True)
class Decision:
    """Whether a release stays, and why; ``reason`` completes 'ID stays:' or 'ID goes:'."""

    release: str
    keep: bool
    reason: str


def decide(state: State, rules: Rules, clocks: Clocks, present: Collection[str]) -> tuple[Decision, ...]:
    """Decide for every live release, oldest first. ``present`` are the ids of the folders that are there."""
    protected = _protected(state, rules, present)
    return tuple(
        Decision(release.id, keep=True, reason=protected[release.id])
        if release.id in protected
        else _decide_by_age(release, rules, clocks)
        for release in state.live
    )


def _protected(state: State, rules: Rules, present: Collection[str]) -> dict[str, str]:
    """The releases that stay whatever their age, with the strongest reason."""
    reasons = dict.fromkeys(_newest(state, rules.keep_last, present), f"it is one of the last {rules.keep_last}")
    reasons |= {release.id: "it is pinned" for release in state.live if release.pinned}
    before = {state.previous, *state.stack[-2:-1]}  # the second may be marked bad
    reasons |= {release: "it is the one before the current" for release in before if release is not None}
    if state.current is not None:
        reasons[state.current] = "it is current"
    return reasons


def _decide_by_age(release: Release, rules: Rules, clocks: Clocks) -> Decision:
    if release.deactivated is not None and release.deactivated_in is not None:
        did, age = "replaced", clocks.age(release.deactivated_in, release.deactivated)
    else:
        did, age = "published", clocks.age(release.published_in, release.published)
    keep = age < rules.age_to_go
    return Decision(release.id, keep, f"it was {did} {_words(age)} ago" + (f", {_allowance(rules)}" if keep else ""))


def _newest(state: State, count: int, present: Collection[str]) -> set[str]:
    """The newest releases, and the newest that are not marked bad: so many that can be used stay."""
    there = [release for release in state.live if release.id in present]
    good = [release for release in there if release.bad is None]
    return {release.id for some in (there, good) for release in some[max(0, len(some) - count) :]}


def _allowance(rules: Rules) -> str:
    errors = 2 * rules.clock_error
    return f"grace {_words(rules.grace)}" + (f" and {_words(errors)} in case clocks are wrong" if errors else "")


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 0:
        return "0 min"  # an entry from the future: some clock is wrong
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours >= 96:
        return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"
