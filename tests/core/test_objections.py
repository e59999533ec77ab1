"""What was marked bad stays bad for its content, and a rollback is not undone in silence: pure decisions over the journal."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import BadReleaseError, RolledBackError
from efsprov.core.history import Entry, fold
from efsprov.core.objections import objection

START = datetime(2026, 11, 26, 12, tzinfo=UTC)
A, B, A_AGAIN = (f"2026112{day}T063000Z-{digest * 8}" for day, digest in ((1, "a"), (2, "b"), (3, "a")))
DIGEST = {release: release[-1] * 64 for release in (A, B, A_AGAIN)}


def state(*steps):
    """The state after steps like ("publish", A) or ("mark-bad", A, "why")."""
    return fold(
        Entry(
            number=n,
            tx="x" * 8,
            do=do,
            release=release,
            at=START + timedelta(minutes=n),
            by=f"ann{n}",
            note="".join(note),
        )
        for n, (do, release, *note) in enumerate(steps, 1)
    )


def against(steps, release=A, *, again=False):
    return objection(state(*steps), DIGEST[release], where="tf", again=again)


TWO = [("publish", A), ("activate", A), ("publish", B), ("activate", B)]


def test_nothing_is_held_against_what_nobody_judged():
    for release in (A, B):
        assert against([], release) is against(TWO, release) is None


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("rest", [[], [("prune", B)], [("rollback", A)], [("mark-bad", B, "really")]])
def test_a_mark_holds_for_the_content_whatever_becomes_of_the_release(rest, again):
    error = against([*TWO, ("mark-bad", B, "leaks memory"), *rest], B, again=again)
    assert isinstance(error, BadReleaseError)
    assert B in error.message
    assert "ann" in error.message
    assert ("really" if rest and rest[0][0] == "mark-bad" else "leaks memory") in error.message
    assert f"mark-good {B}" in error.hint
    assert against([*TWO, ("mark-bad", B, "leaks memory"), *rest], A, again=True) is None


def test_a_mark_on_an_older_release_of_the_same_content_holds():
    steps = [*TWO, ("mark-bad", A, "no"), ("publish", A_AGAIN)]
    assert A in against(steps).message
    assert against([*steps, ("mark-good", A)]) is None


def test_a_mark_that_is_about_damaged_files_is_not_about_their_content():
    steps = [*TWO, ("mark-bad", B, "damaged: two files")]
    assert against(steps, B) is None
    assert isinstance(against([*steps, ("rollback", A)], B), RolledBackError)


def test_a_rollback_is_undone_only_when_asked():
    steps = [*TWO, ("rollback", A)]
    error = against(steps, B)
    assert isinstance(error, RolledBackError)
    assert "ann5 rolled back from it on 2026-11-26 at 12:05" in error.message
    assert "--again" in error.hint
    assert against(steps, B, again=True) is None
    assert against(steps, A) is None
    assert against([*steps, ("activate", B)], B) is None
    assert against([*steps, ("activate", B), ("activate", A)], B) is None, "that was no rollback"


@given(
    st.lists(
        st.tuples(st.sampled_from(["activate", "rollback", "mark-bad", "mark-good"]), st.sampled_from([A, B])),
        max_size=12,
    )
)
def test_an_objection_is_a_mark_or_a_rollback_since_the_last_activation(steps):
    whole = [("publish", A), ("publish", B), *steps]
    now = state(*whole)
    marks = [do for do, release in steps if release == A and do.startswith("mark")]
    error = objection(now, DIGEST[A], where="tf", again=False)
    assert isinstance(error, BadReleaseError) == (marks[-1:] == ["mark-bad"])
    if isinstance(error, RolledBackError):
        assert now.current != A
        assert ("rollback", B) in steps
