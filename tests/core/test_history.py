import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.core.errors import IntegrityError, NotFoundError
from efsprov.core.history import Entry, fold, known_release, last_activated, parse_entry

IDS = tuple(f"2026112{n}T000000Z-{n:08x}" for n in range(5))
A, B, C, D, E = IDS
START = datetime(2026, 11, 21, tzinfo=UTC)


def journal(*actions):
    """Entries from (do, release[, note]), an hour apart."""
    return tuple(
        Entry(
            number=n,
            tx=f"{n:016x}",
            do=action[0],
            release=action[1],
            note=action[2] if len(action) > 2 else "",
            at=START + timedelta(hours=n),
            by="me",
        )
        for n, action in enumerate(actions, 1)
    )


def released(*releases):
    return [pair for release in releases for pair in (("publish", release), ("activate", release))]


class TestFold:
    def test_of_nothing_has_nothing(self):
        state = fold(())
        assert (state.last, state.current, state.previous, state.live) == (0, None, None, ())

    def test_the_last_activation_is_current(self):
        state = fold(journal(*released(A, B), ("publish", C)))
        assert (state.current, state.previous, state.last) == (B, A, 5)
        assert [release.id for release in state.live] == [A, B, C]

    def test_remembers_who_was_active_when_and_by_which_entry(self):
        state = fold(journal(*released(A, B)))
        assert state.releases[A].activated == (START + timedelta(hours=2),)
        assert (state.releases[A].deactivated, state.releases[A].deactivated_in) == (START + timedelta(hours=4), 4)
        assert (state.releases[B].deactivated, state.releases[B].published_in) == (None, 3)

    def test_two_rollbacks_go_back_two_releases(self):
        state = fold(journal(*released(A, B, C), ("rollback", B), ("rollback", A)))
        assert (state.current, state.previous) == (A, None)

    def test_a_rollback_goes_down_to_where_it_is_sent(self):
        state = fold(journal(*released(A, B, C, D), ("rollback", B)))
        assert (state.current, state.previous) == (B, A)

    def test_a_rollback_to_what_was_never_active_is_an_activation(self):
        state = fold(journal(*released(A, B), ("publish", C), ("rollback", C)))
        assert (state.current, state.previous) == (C, B)

    def test_a_rollback_skips_bad_and_pruned_releases(self):
        state = fold(journal(*released(A, B, C, D), ("mark-bad", C, "broken"), ("prune", B)))
        assert state.previous == A
        assert state.releases[C].bad == "broken"

    def test_good_again_after_mark_good(self):
        assert fold(journal(*released(A, B), ("mark-bad", A), ("mark-good", A))).previous == A
        assert fold(journal(*released(A, B), ("mark-bad", A))).releases[A].bad == ""

    def test_a_pin_holds_until_it_is_taken_back(self):
        assert fold(journal(*released(A), ("pin", A))).releases[A].pinned
        assert not fold(journal(*released(A), ("pin", A), ("unpin", A))).releases[A].pinned

    def test_an_activation_after_a_prune_says_that_the_release_is_there(self):
        assert not fold(journal(*released(A, B), ("prune", A), ("activate", A))).releases[A].pruned

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["publish", "activate", "rollback", "mark-bad", "mark-good", "pin", "unpin", "prune"]),
                st.sampled_from(IDS),
            ),
            max_size=30,
        )
    )
    def test_holds_together_for_any_journal(self, actions):
        state = fold(journal(*actions))
        activations = [release for do, release in actions if do in {"activate", "rollback"}]
        assert state.last == len(actions)
        assert state.current == last_activated(journal(*actions)) == (activations[-1] if activations else None)
        assert all(a != b for a, b in zip(state.stack, state.stack[1:], strict=False))
        assert state.previous is None or (state.previous in state.stack[:-1] and state.previous != state.current)
        if state.current is not None:
            assert state.releases[state.current].deactivated is None
        for release, known in state.releases.items():
            assert (known.deactivated is None) == (release == state.current or release not in activations)
            pins = [do for do, one in actions if one == release and do in {"pin", "unpin"}]
            assert known.pinned == (pins[-1:] == ["pin"])


class TestKnownRelease:
    def test_returns_what_is_live(self):
        assert known_release(fold(journal(*released(A))), A, where="x").id == A

    def test_tells_the_unknown_from_the_pruned(self):
        state = fold(journal(*released(A, B), ("prune", A)))
        with pytest.raises(NotFoundError, match=r"no release .* in x: it was pruned"):
            known_release(state, A, where="x")
        with pytest.raises(NotFoundError, match=f"There is no release {C} in x[.]"):
            known_release(state, C, where="x")


class TestParseEntry:
    TEXT = journal(("pin", A))[0].model_dump_json(exclude_defaults=True)

    def test_reads_what_was_written(self):
        assert parse_entry(1, self.TEXT, where="here") == journal(("pin", A))[0]

    def test_ignores_what_a_later_version_adds(self):
        assert parse_entry(1, json.dumps({**json.loads(self.TEXT), "new": 1}), where="here").do == "pin"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "releases/x",
            "{",
            "[]",
            "7",
            "null",
            "[" * 4000,
            TEXT.replace("pin", "explode"),
            TEXT.replace(A, "../../etc"),
            TEXT.replace(A, "20261399T000000Z-00000000"),
            TEXT.replace('"by":"me"', '"by":7'),
            TEXT.replace("Z-0", "Z-\udcff"),
            TEXT.replace('Z"', '"'),
        ],
    )
    def test_refuses_what_is_none_and_says_where(self, text):
        with pytest.raises(IntegrityError, match="journal/00000007 is not a journal entry") as caught:
            parse_entry(7, text, where="journal/00000007")
        assert len(caught.value.message) < 200
