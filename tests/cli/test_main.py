"""The command line as a whole: what is said without arguments, and that a verb alone says what all verbs together say."""

import re

import pytest

from efsprov.cli.main import _LINES, _VERBS, command_line


def names(app):
    verbs = {command.name for command in app.registered_commands}
    return verbs | {group.name for group in app.registered_groups}


@pytest.mark.parametrize("arguments", [(), ("iac",), ("model",)])
def test_without_a_verb_the_help_is_all_that_is_printed(efsprov, arguments):
    answer = efsprov(*arguments)
    assert answer.code == 2
    assert "Usage: efsprov" in answer.out + answer.err
    assert "efsprov: " not in answer.out + answer.err


def test_each_verb_can_be_had_alone():
    every = names(command_line())
    for verb in every:
        alone = names(command_line(verb))
        assert verb in alone
        assert alone < every


def test_what_is_no_verb_brings_them_all():
    assert names(command_line("nonsense")) == names(command_line("--json")) == names(command_line())


def test_the_help_lists_every_verb_once_in_a_group_and_on_one_line(efsprov):
    shown = efsprov("--help", COLUMNS="80").out
    for verb, (group, line) in _LINES.items():
        assert group in shown
        (row,) = [row for row in shown.splitlines() if re.search(rf"^\W+{verb}\s", row)]
        assert line in row
    assert _LINES.keys() == _VERBS.keys()
    assert max(map(len, shown.splitlines())) <= 80
