"""`efsprov status`: a root at one glance."""

import shlex

import pytest

from tests.cli.conftest import RUNTIME


def test_an_empty_root_says_what_comes_first(efsprov):
    efsprov.root.mkdir()
    done = efsprov("status", "--root", efsprov.root)
    assert done.code == 0
    assert f"efsprov sync --root {efsprov.root} tensorflow==2.15" in done.out
    assert efsprov("status", "--root", efsprov.root, "--json").json["channels"] == []
    assert list(efsprov.root.iterdir()) == []


def test_what_is_current_since_when_and_how_large(efsprov):
    efsprov.sync("tiny==1.0")
    second = efsprov.sync("tiny==2.0", "--json").json["result"]
    done = efsprov("status", "--root", efsprov.root)
    assert f"tiny ({RUNTIME}-" in done.out
    assert second["release"] in done.out
    assert "as the journals say" in done.out
    (channel,) = efsprov("status", "--root", efsprov.root, "--json").json["channels"]
    assert (channel["current"], channel["releases"], channel["problems"]) == (second["release"], 2, [])
    assert channel["bytes"] == second["figures"]["bytes"]
    assert channel["since"]


@pytest.mark.parametrize("wrong", ["bad", "link", "nothing", "damaged"])
def test_what_is_wrong_comes_with_a_command_that_puts_it_right(efsprov, wrong):
    first = efsprov.sync("tiny==1.0", "--json").json["result"]["release"]
    if wrong == "nothing":
        release = efsprov.sync("helper==1.0", "--no-activate", "--json").json["result"]["release"]
    else:
        release = efsprov.sync("tiny==2.0", "--json").json["result"]["release"]
    (base,) = (efsprov.root / "deps" / "tiny").iterdir()
    if wrong == "bad":
        efsprov("mark-bad", "--root", efsprov.root, "--channel", "tiny", release, "--note", "it leaks")
    if wrong == "link":
        (base / "current").unlink()
        (base / "current").symlink_to(f"releases/{first}")
    if wrong == "damaged":
        (base / "releases" / release / "release.json").unlink()
    channels = efsprov("status", "--root", efsprov.root, "--json").json["channels"]
    (problem,) = [problem for channel in channels for problem in channel["problems"]]
    done = efsprov("status", "--root", efsprov.root)
    assert problem["message"] in done.out
    words = shlex.split(problem["next"])
    assert words[0] == "efsprov"
    assert efsprov(*words[1:]).code == (11 if wrong == "damaged" else 0)
    channels = efsprov("status", "--root", efsprov.root, "--json").json["channels"]
    left = [problem for channel in channels for problem in channel["problems"]]
    assert bool(left) == (wrong == "damaged")
