"""The plan of a sync: what would be done, as data."""

from typing import Literal

from pydantic import Field, computed_field

from efsprov.core.difference import Change
from efsprov.core.frozen import Frozen


class PlannedWheel(Frozen):
    """A wheel that would be installed; ``size`` in bytes, None where the index does not tell."""

    name: str
    version: str
    wheel: str
    size: int | None = None
    requested: bool = False


class NeededConsent(Frozen):
    """Something that is not done unless ``flag`` says so; ``message`` tells what it is and what it costs."""

    kind: str
    message: str
    flag: str
    size: int = 0


class Plan(Frozen):
    """What a sync with the same options does.

    ``action``: build a release, nothing (the current release has the same lock), or make a published release with the
    same lock current again. ``existing`` names that release. ``savings`` are the bytes that each slim rule
    leaves out, those of ``savings_unknown`` not counted: packages whose wheels could not be looked into.
    """

    root: str
    channel: str
    target: str
    builder: str
    action: Literal["build", "nothing", "activate"]
    requirements: tuple[str, ...]
    wheels: tuple[PlannedWheel, ...]
    lock_digest: str
    current: str | None = None
    existing: str | None = None
    changes: tuple[Change, ...] = ()
    slim: tuple[str, ...] = ()
    savings: dict[str, int] = Field(default_factory=dict)
    savings_unknown: tuple[str, ...] = ()
    smoke: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    consents: tuple[NeededConsent, ...] = Field(default=())
    objection: str = ""
    """Why a sync refuses: the same was marked bad, or rolled back from; "" where it does not."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def download_bytes(self) -> int | None:
        """The sizes of all wheels, in bytes; None where that of one is not known."""
        sizes = [wheel.size for wheel in self.wheels]
        return None if None in sizes else sum(size or 0 for size in sizes)
