"""A channel's journal as data: its entries, and what they add up to.

The journal's last activation is the truth about what is current; the `current` link is only its projection.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from efsprov.core.errors import IntegrityError, NotFoundError
from efsprov.core.frozen import Frozen
from efsprov.core.release_id import is_release_id

Action = Literal["publish", "activate", "rollback", "mark-bad", "mark-good", "pin", "unpin", "prune"]
ACTIVATIONS: frozenset[Action] = frozenset({"activate", "rollback"})


def _release_id(text: str) -> str:
    if not is_release_id(text):  # it becomes a part of paths, and the text of `current`
        raise ValueError("not a release id")
    return text


class Entry(Frozen):
    """One journal entry. ``tx`` is the writer's transaction id: it tells a lost reply from somebody else's entry."""

    number: int = Field(ge=1, exclude=True)
    tx: str = Field(min_length=8, max_length=64)
    do: Action
    release: Annotated[str, AfterValidator(_release_id)]
    at: AwareDatetime
    by: str = Field(max_length=200)
    note: str = Field(default="", max_length=500)


def parse_entry(number: int, text: str, *, where: str) -> Entry:
    """Read an entry from its JSON text; raises ``IntegrityError`` naming ``where`` when it is not one."""
    try:
        return Entry.model_validate({**json.loads(text), "number": number})
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(
            f"{where} is not a journal entry: {text[:80]!r}.",
            hint="Somebody wrote into the journal by hand. Nothing was changed. Readers keep the release that `current` "
            "names; restore the entry, or start a new channel with `efsprov sync --channel NEW`.",
        ) from error


@dataclass(frozen=True)
class Release:
    """What the journal tells of one release. Times are by the writers' own clocks; ``..._in`` are entries' numbers."""

    id: str
    published: datetime
    published_in: int
    activated: tuple[datetime, ...] = ()
    deactivated: datetime | None = None  # None while current, or when it never was
    deactivated_in: int | None = None
    bad: str | None = None  # the reason, possibly empty
    bad_by: str = ""
    bad_at: datetime | None = None
    left_by: str = ""  # who rolled back from it; "" when nobody did since it was last activated
    left_at: datetime | None = None
    pinned: bool = False
    pruned: bool = False


@dataclass
class _Folding:
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)  # the fields of each `Release`
    stack: list[str] = field(default_factory=list)

    def change(self, release: str, entry: Entry, **changes: Any) -> None:
        first = {"id": release, "published": entry.at, "published_in": entry.number, "activated": ()}
        self.releases.setdefault(release, first).update(changes)


@dataclass(frozen=True)
class State:
    """A channel after all entries up to number ``last`` (0: an empty journal).

    ``stack`` holds the activations that a rollback can go back through, oldest first; its top is ``current``.
    """

    last: int
    releases: dict[str, Release]
    stack: tuple[str, ...]

    @property
    def current(self) -> str | None:
        """The id of the release that is current by the journal."""
        return self.stack[-1] if self.stack else None

    @property
    def live(self) -> tuple[Release, ...]:
        """Releases that were published and not pruned, oldest first."""
        return tuple(r for _, r in sorted(self.releases.items()) if not r.pruned)

    @property
    def previous(self) -> str | None:
        """Where a rollback without ``--to`` goes: the release active before this one, bad and pruned ones skipped."""
        for release in reversed(self.stack[:-1]):
            known = self.releases[release]
            if release != self.current and known.bad is None and not known.pruned:
                return release
        return None


def fold(entries: Iterable[Entry]) -> State:
    """Add up a channel's entries, in order of their numbers, to its state.

    A rollback goes down the stack of activations to its release and forgets what was above, so that rolling back
    twice goes back two releases; a release that is not on the stack is put on top, like an activation.
    """
    folding, last = _Folding(), 0
    for entry in entries:
        last, release = entry.number, entry.release
        if entry.do in ACTIVATIONS:
            _activate(folding, entry)
        elif entry.do == "publish":
            folding.change(release, entry, published=entry.at, published_in=entry.number, pruned=False)
        elif entry.do in {"mark-bad", "mark-good"}:
            marked = entry.do == "mark-bad"
            reason, who, when = (entry.note, entry.by, entry.at) if marked else (None, "", None)
            folding.change(release, entry, bad=reason, bad_by=who, bad_at=when)
        elif entry.do in {"pin", "unpin"}:
            folding.change(release, entry, pinned=entry.do == "pin")
        else:
            folding.change(release, entry, pruned=True)
    releases = {release: Release(**fields) for release, fields in folding.releases.items()}
    return State(last, releases, tuple(folding.stack))


def last_activated(entries: Sequence[Entry]) -> str | None:
    """Return the release of the last activation: the ``current`` of ``fold(entries)``, without adding them all up."""
    return next((entry.release for entry in reversed(entries) if entry.do in ACTIVATIONS), None)


def _activate(folding: _Folding, entry: Entry) -> None:
    stack, release = folding.stack, entry.release
    if stack and stack[-1] != release:
        left = {"left_by": entry.by, "left_at": entry.at} if entry.do == "rollback" else {}
        folding.change(stack[-1], entry, deactivated=entry.at, deactivated_in=entry.number, **left)
    if entry.do == "rollback" and release in stack:
        while stack[-1] != release:
            stack.pop()
    elif not stack or stack[-1] != release:
        stack.append(release)
    activated = (*folding.releases.get(release, {}).get("activated", ()), entry.at)
    back = {"activated": activated, "deactivated": None, "deactivated_in": None, "left_by": "", "left_at": None}
    folding.change(release, entry, pruned=False, **back)


def known_release(state: State, release: str, *, where: str) -> Release:
    """Return what the journal knows of a release that can be used; raises ``NotFoundError`` where there is none."""
    known = state.releases.get(release)
    if known is None or known.pruned:
        raise NotFoundError(
            f"There is no release {release} in {where}" + (": it was pruned." if known else "."),
            hint="`efsprov list` shows the releases that there are.",
        )
    return known
