"""A short run of the random operations that `make stress` does for ten minutes, and that its judge sees what is wrong."""

import json

import pytest

from tests.store.journal_model import Done, Model, check
from tests.store.stress import read_log, run

A, B = "20261121T000000Z-0000000a", "20261121T000001Z-0000000b"


@pytest.mark.parametrize("kills", [False, True])
def test_the_journal_and_the_root_are_what_a_simple_model_says(root, kills):
    problems, counts = run(root, operations=60, processes=4, seed=7, kills=kills)
    assert problems == []
    assert sum(counts.values()) >= 240
    assert {name.partition(":")[0] for name in counts} >= {"sync", "rollback", "activate", "prune", "repair", "read"}


def entries(tmp_path, *actions):
    """A journal of (do, release) by the transactions 1, 2, ..."""
    journal = tmp_path / "journal"
    journal.mkdir()
    for number, (do, release) in enumerate(actions, 1):
        text = json.dumps({"tx": str(number), "do": do, "release": release})
        (journal / f"{number:08d}").symlink_to(text)
    return journal


def output(name, *txs, **end):
    done = Done(name, {str(tx) for tx in txs})
    done.end(end)
    return done


HONEST = [("publish", A), ("activate", A), ("publish", B), ("activate", B), ("rollback", A)]


def honest():
    return [
        output("sync", 1, 2, result=A),
        output("sync", 3, 4, result=B),
        output("rollback", 5, result=[B, A]),
    ]


def test_nothing_is_wrong_with_an_honest_journal(tmp_path):
    problems, model = check(entries(tmp_path, *HONEST), honest())
    assert problems == []
    assert (model.current, model.before, model.live) == (A, [], {A, B})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([("activate", "unknown")], "unlawful"),
        ([("activate", A)], "unlawful"),
        ([("prune", A)], "unlawful"),
        ([("activate", B), ("prune", A)], "unlawful"),
        ([("mark-bad", B), ("activate", B)], "unlawful"),
        ([("pin", B), ("prune", B)], "unlawful"),
        ([("unpin", B)], "unlawful"),
        ([("publish", B)], "unlawful"),
        ([("pin", A)], "belongs to nobody"),
    ],
)
def test_unlawful_and_foreign_entries_are_noticed(tmp_path, more, problem):
    owned = [Done("mark", {"6", "7"})] if problem == "unlawful" else []
    problems, _ = check(entries(tmp_path, *HONEST, *more), [*honest(), *owned])
    assert [line for line in problems if problem in line]


@pytest.mark.parametrize(
    "lie",
    [
        output("rollback", 5, result=[A, B]),
        output("rollback", 5, error="ConflictError", message="somebody else"),
        output("rollback", 7, error="RootError", message="Input/output error"),
        output("prune", 8, result=[B]),
        output("sync", 9, 5, result=B),
    ],
)
def test_lies_are_noticed(tmp_path, lie):
    problems, _ = check(entries(tmp_path, *HONEST), [*honest()[:2], lie, Done("rollback", {"5"} - lie.txs)])
    assert problems


def test_a_gap_is_noticed(tmp_path):
    journal = entries(tmp_path, *HONEST)
    (journal / "00000002").unlink()
    assert "the journal has gaps" in check(journal, honest())[0]


def test_an_operation_that_was_killed_reported_nothing(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"began": "sync"}\n{"tx": "1"}\n{"result": "x"}\n{"began": "prune"}\n{"tx": "2"}\n')
    first, second = read_log(log)
    assert (first.ended, first.txs, second.ended, second.txs) == (True, {"1"}, False, {"2"})


def test_the_model_goes_back_as_far_as_it_is_sent():
    model = Model()
    for release in "abcd":
        model.apply("publish", release)
        model.apply("activate", release)
    model.apply("rollback", "b")
    assert (model.current, model.before) == ("b", ["a"])
