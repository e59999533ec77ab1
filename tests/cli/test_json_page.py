"""docs/reference/json.md names the keys that the commands print, and no others: of all that need no account of AWS."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import RUNTIME
from tests.cli.json_page import PAGE, differences, documented

COMMANDS = {
    "plan": ("--framework", "tiny==3.0", "--runtime", RUNTIME),
    "sync": ("--framework", "tiny==3.0", "--runtime", RUNTIME),
    "status": (),
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


@pytest.fixture
def two(efsprov):
    """A root with two releases, one of them bad."""
    efsprov.sync("tiny==1.0")
    efsprov.sync("tiny==2.0")
    return efsprov


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_the_keys_that_the_page_names(two, command):
    answer = two(*command.split(), *COMMANDS[command], "--root", two.root, "--json")
    assert answer.code == 0, answer.err
    assert differences(answer.json, documented(command)) == (set(), set())


def test_so_do_the_commands_for_models(efsprov):
    header = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    (efsprov.folder / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for verb, words in {"push": ("net", "net.safetensors"), "list": (), "show": ("net",)}.items():
        answer = efsprov("model", verb, *words, "--root", efsprov.root, "--json")
        assert answer.code == 0, answer.err
        assert differences(answer.json, documented(f"model {verb}")) == (set(), set())


def test_the_comparison_notices_keys_too_many_and_too_few():
    known = {"a", "b[].c", "d[].e"}
    assert differences({"a": 1, "b": [{"c": 1}], "d": []}, known) == (set(), set())
    assert differences({"a": 1, "b": [{"c": 1, "x": []}], "y": {}, "d": []}, known) == ({"b[].x[]", "y"}, set())
    assert differences({"b": [{"z": 1}], "d": [{"e": 1}]}, known) == ({"b[].z"}, {"a", "b[].c"})


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
    of_models = {command for command in offering if command.startswith("model ")}
    assert {"model push", "model list", "model show", "model optimize"} <= of_models  # the others print what these do
    like_others = {"rollback", "unpin", "mark-bad", "mark-good"}
    assert {verb for verb in offering - of_models - like_others if f"`efsprov {verb}`" not in PAGE} == set()
    assert {verb for verb in like_others if f"`{verb}`" not in PAGE} == set()
