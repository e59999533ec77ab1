"""Why something that was published before should not become current again: somebody found it bad, or went back from it."""

from operator import attrgetter
from typing import Final

from efsprov.core.errors import BadReleaseError, EfsprovError, RolledBackError
from efsprov.core.history import Release, State

DAMAGED: Final = "damaged"
"""How the note of a mark begins that is about one release's files and not about what they are: the same may be made again."""


def objection(state: State, digest: str, *, where: str, again: bool) -> EfsprovError | None:
    """Return the error to raise before what has this digest is published or made current in ``where``; None to go on.

    A mark of badness holds for the content, not for one release of it: a pipeline that runs again makes another release of
    the same lock. It ends with `mark-good`, or with another lock. Going back is less than a mark: ``again`` overrules it.
    """
    same = [
        release
        for release in sorted(state.releases.values(), key=attrgetter("published_in"), reverse=True)
        if _holds(release, digest)
    ]
    for release in same:
        if release.bad is not None and not release.bad.startswith(DAMAGED):
            reason = f": {release.bad.rstrip('.')}." if release.bad else "."
            return BadReleaseError(
                f"Release {release.id} of {where} holds the same, and {release.bad_by or 'somebody'} marked it bad on "
                f"{release.bad_at:%Y-%m-%d at %H:%M} UTC{reason}",
                hint=f"Install other versions, or clear the mark: `efsprov mark-good {release.id}` (of a model: "
                "`efsprov model mark-good`).",
            )
    left = next((release for release in same if release.left_by), None)
    if left is None or again or state.current == left.id:
        return None
    return RolledBackError(
        f"Release {left.id} of {where} holds the same, and {left.left_by} rolled back from it on "
        f"{left.left_at:%Y-%m-%d at %H:%M} UTC.",
        hint="--again makes it current all the same; --no-activate leaves `current` as it is.",
    )


def _holds(release: Release, digest: str) -> bool:
    """By the id, which ends with the digest's first digits: the files of a pruned release are gone."""
    return release.id.endswith(f"-{digest[:8]}")
