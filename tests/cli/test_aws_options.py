"""What is said to AWS is said in one way: an option of one name is the same option in every verb."""

import pytest
import typer

from efsprov.cli.main import command_line

# `reap` looks in several regions, and what an IAM policy is for has a region of its own.
OTHERS = {("--region", "reap"), ("--region", "iac iam"), ("--access-point", "builder deploy")}


def options(name):
    """{verb: (help, metavar, variables)} of the option ``name``."""
    found = {}

    def walk(command, words):
        for below, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, below))
        for parameter in command.params:
            if name in parameter.opts:
                found[" ".join(words)] = (parameter.help, parameter.metavar, parameter.envvar)

    walk(typer.main.get_command(command_line()), ())
    return {verb: option for verb, option in found.items() if (name, verb) not in OTHERS}


@pytest.mark.parametrize(
    ("name", "least"), [("--region", 9), ("--profile", 10), ("--access-point", 5), ("--dry-run", 4), ("--json", 25)]
)
def test_an_option_is_the_same_everywhere(name, least):
    found = options(name)
    assert len(found) >= least
    assert len(set(map(str, found.values()))) == 1, found


def test_every_verb_with_a_region_has_a_profile():
    assert set(options("--region")) <= set(options("--profile"))
