"""docs/reference/json.md names the keys that the commands print, and no others."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import RUNTIME

PAGE = (Path(__file__).parents[2] / "docs/reference/json.md").read_text()
COMMANDS = {
    "plan": ("--framework", "tiny==3.0", "--runtime", RUNTIME),
    "sync": ("--framework", "tiny==3.0", "--runtime", RUNTIME),
    "list": (),
    "show": (),
    "history": (),
    "diff": ("previous", "current"),
    "activate": ("previous",),
    "verify": (),
    "prune": (),
    "pin": ("current",),
    "bench import": (),
}


def documented(command):
    section = PAGE.split(f"## `efsprov {command}`\n")[1].split("\n## ")[0]
    firsts = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return {key for first in firsts for key in re.findall(r"`([^`]+)`", first)}


def keys(value, path, *, known):
    """The paths of a document's keys, no deeper than the page goes."""
    if path in known or not isinstance(value, dict | list):
        return {path}
    if isinstance(value, list):
        return set().union(*(keys(each, f"{path}[]", known=known) for each in value))
    return set().union(*(keys(each, f"{path}.{key}".lstrip("."), known=known) for key, each in value.items()))


@pytest.fixture
def two(efsprov):
    """A root with two releases, one of them bad."""
    efsprov.sync("tiny==1.0")
    efsprov.sync("tiny==2.0")
    return efsprov


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_the_keys_that_the_page_names(two, command):
    known = documented(command)
    answer = two(*command.split(), *COMMANDS[command], "--root", two.root, "--json")
    assert answer.code == 0, answer.err
    assert keys(answer.json, "", known=known) - known == set()
    there = keys(answer.json, "", known=known)
    assert {key for key in known if key not in there and "consents" not in key and "[]" not in key} == set()


def test_findings_and_bad_releases_are_as_the_page_says(two):
    first = two("list", "--root", two.root, "--json").json["channels"][0]["previous"]
    two("mark-bad", first, "--root", two.root)
    (_, bad) = two("list", "--root", two.root, "--json").json["channels"][0]["releases"]
    assert (bad["bad"], bad["bad_note"]) == (True, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", bad["published"])
    two("mark-bad", first, "--root", two.root, "--note", "leaks")
    assert two("show", first, "--root", two.root, "--json").json["bad_note"] == "leaks"
    release = next((two.root / "deps").glob(f"*/*/releases/{first}"))
    (release / "site/tiny/data.txt").unlink()
    answer = two("verify", first, "--root", two.root, "--json")
    assert answer.code == 11
    assert set(answer.json["findings"][0]) == {"path", "problem"}


def test_every_command_with_json_is_on_the_page():
    reference = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text()
    sections = re.split(r"^##+ ", reference, flags=re.MULTILINE)
    offering = {re.match(r"`efsprov ([\w -]+)`", section).group(1) for section in sections if "\n* `--json`" in section}
    verbs = {command.removeprefix("model ") for command in offering}
    assert {verb for verb in verbs if not re.search(rf"`(efsprov )?(model )?{verb}`", PAGE)} == set()
    assert {"sync", "model push", "builder deploy"} <= offering
