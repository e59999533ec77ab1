"""The table of faults names tests: they exist, and those that inject faults are all in it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs/explanation/faults.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", PAGE)))
# Their tests are the table's, but for those that test the tests.
ALL_OF = ("test_crashes.py", "test_power_loss.py", "test_nfs.py", "test_in_use.py", "test_swaps.py")
OWN = {
    "test_all_mutants_and_all_calls_are_in_play",
    "test_a_life_has_all_commands_and_every_kind_of_cut",
    "test_the_workers_run_on_nfs",
    "TestWriters::test_the_age_of_what_was_just_replaced_is_asked_of_the_server",
}


@cache
def named_in(path: str) -> frozenset[str]:
    found = set()
    for node in ast.parse((HERE / path).read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + m.name for m in members if isinstance(m, ast.FunctionDef) and m.name.startswith("test")}
    return frozenset(found)


@pytest.mark.parametrize("name", NAMED)
def test_each_test_that_the_page_names_exists(name):
    path, _, test = name.partition("::")
    assert test in named_in(path)


@pytest.mark.parametrize("file", ALL_OF)
def test_each_test_that_injects_a_fault_is_on_the_page(file):
    path = f"tests/store/{file}"
    assert {f"{path}::{test}" for test in named_in(path) - OWN} - set(NAMED) == set()


def test_each_row_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "|---" not in line]
    rows = [row for row in rows if not row.endswith("| test |")]
    assert len(rows) > 35
    assert [row for row in rows if "`tests/" not in row] == []


def test_each_row_belongs_to_a_table():
    lines = PAGE.splitlines()
    starts = [
        after
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False)
        if line.startswith("|") and not before
    ]
    assert [line for line in starts if not line.startswith("|---")] == []
