"""The command line as a whole: what is said without arguments, and that a verb alone says what all verbs together say."""

import pytest

from efsprov.cli.main import command_line


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
