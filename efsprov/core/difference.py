"""What differs between two releases."""

from collections.abc import Sequence

from pydantic import BaseModel, computed_field

from efsprov.core.manifest import Distribution, Manifest


class Change(BaseModel):
    """One distribution in two releases; ``before`` or ``after`` is None where it is missing.

    Sizes in bytes, as installed; ``size_after`` is None where that is not known before it is installed.
    """

    name: str
    before: str | None
    after: str | None
    size_before: int
    size_after: int | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def what(self) -> str:
        """Say in a word what happened: added, removed, changed, or rebuilt (the same version, other files)."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.before != self.after else "rebuilt"


class Difference(BaseModel):
    """The way from release ``before`` to release ``after``. Sizes in bytes."""

    before: str
    after: str
    changes: tuple[Change, ...]
    same: int
    size_before: int
    size_after: int


def compare(before: Manifest, after: Manifest) -> Difference:
    """Hold two manifests against each other, distribution by distribution."""
    changes = compare_distributions(before.distributions, after.distributions)
    return Difference(
        before=before.id,
        after=after.id,
        changes=changes,
        same=len(after.distributions) - sum(c.after is not None for c in changes),
        size_before=before.figures.bytes,
        size_after=after.figures.bytes,
    )


def compare_distributions(
    before: Sequence[Distribution], after: Sequence[Distribution], *, installed: bool = True
) -> tuple[Change, ...]:
    """Return what was added, removed or changed between two lists of distributions, by name.

    ``installed`` is false where ``after`` is only planned: nobody knows then what it will weigh.
    """
    old, new = {d.name: d for d in before}, {d.name: d for d in after}
    changes = []
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or (a.version, a.sha256) != (b.version, b.sha256):
            changes.append(
                Change(
                    name=name,
                    before=a.version if a else None,
                    after=b.version if b else None,
                    size_before=a.installed_size if a else 0,
                    size_after=0 if b is None else b.installed_size if installed else None,
                )
            )
    return tuple(changes)
