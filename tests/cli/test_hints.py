"""What a hint tells people to type exists: every command, and every option, wherever in efsprov the hint is written."""

import ast
import re
from pathlib import Path

import pytest
import typer

from efsprov.cli.main import command_line

SOURCE = Path(__file__).parents[2] / "efsprov"
# Options of other programs that messages name, and options that only a requirement file has.
OTHERS = {
    *("--hash", "--find-links", "--index-url", "--require-hashes", "--no-deps", "--format", "--no-index"),
    *("--check-hash-based-pycs", "--pre", "--prefer-binary", "--upgrade"),
}


def texts():
    """(where, text) of every string of the source that is no docstring; what is filled in is the word X."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inner = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
        for node in ast.walk(tree):
            where = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(str(v.value) if isinstance(v, ast.Constant) else " X" for v in node.values)
            elif (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | inner
            ):
                yield where, node.value


def commands():
    """{words of a verb: its options} of the whole command line."""
    found = {}

    def walk(command, words):
        found[words] = {
            name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
        } | {"--help"}
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*words, name))

    walk(typer.main.get_command(command_line()), ())
    return found


COMMANDS = commands()
TEXTS = list(texts())
PATTERNS = "cli/verbs/model/options.py"  # rewrites the commands of channels as those of models, by regular expressions
TYPED = [
    (where, text)
    for where, whole in TEXTS
    for text in re.findall(r"`(efsprov [^`]+)`", whole)
    if "COMMAND" not in text and not where.startswith(PATTERNS)
]


def test_there_are_hints_to_look_at():
    assert len(TYPED) > 40


@pytest.mark.parametrize(("where", "text"), TYPED, ids=[f"{w} {t}" for w, t in TYPED])
def test_a_command_in_a_message_exists(where, text):
    words = text.split()[1:]
    pair = tuple(words[:2])
    verb = () if words[0].startswith("--") else pair if pair in COMMANDS else pair[:1]
    assert verb in COMMANDS, f"{where}: there is no `efsprov {' '.join(verb)}`"
    options = [word.partition("=")[0].strip("[],.") for word in words if word.lstrip("[").startswith("--")]
    assert [o for o in options if o.strip("[") not in COMMANDS[verb] | COMMANDS[()]] == []


def test_every_option_in_a_message_exists():
    known = {option for options in COMMANDS.values() for option in options} | OTHERS
    wrong = [
        (where, option)
        for where, text in TEXTS
        if " " in text and not text.startswith("aws ") and where.split("/")[0] != "emit" and "in_release" not in where
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", re.sub(r"`(?!efsprov)[^`]*`", " ", text))
        if option not in known
    ]
    assert wrong == []
