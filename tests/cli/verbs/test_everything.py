"""`--all`: a verb for every channel and model of a root; and what a plan says with its exit code."""

import pytest

from tests.cli.conftest import RUNTIME


@pytest.fixture
def full(efsprov):
    """A root with two channels and a model."""
    efsprov.sync("tiny==1.0")
    efsprov.sync("helper==1.0")
    header = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    (efsprov.folder / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert efsprov("model", "push", "net", "net.safetensors", "--root", efsprov.root).code == 0
    return efsprov


def test_verify_all_checks_every_channel_and_model(full):
    answer = full("verify", "--all", "--root", full.root)
    assert answer.code == 0, answer.err
    assert [line.split(":")[0].split(" ", 1)[1].split(" (")[0] for line in answer.out.splitlines()] == [
        "helper",
        "tiny",
        "model net",
    ]
    damaged = next((full.root / "deps/helper").glob("*/releases/*/site/helper/__init__.py"))
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[::-1] or b"x")
    answer = full("verify", "--all", "--root", full.root)
    assert answer.code == 11
    assert "helper (" in answer.err
    assert "1 finding in 1 checked release" in " ".join(answer.err.split())
    assert "✓ tiny" in answer.out
    document = full("verify", "--all", "--root", full.root, "--json")
    assert document.code == 11
    assert [(c["kind"], c["channel"], len(c["findings"])) for c in document.json["channels"]] == [
        ("deps", "helper", 1),
        ("deps", "tiny", 0),
        ("model", "net", 0),
    ]


def test_prune_all_prunes_every_channel_and_model(full):
    answer = full("prune", "--all", "--dry-run", "--root", full.root)
    assert answer.code == 0, answer.err
    assert [line for line in answer.out.splitlines() if line.startswith(("helper", "tiny", "model"))][-1] == "model net"
    document = full("prune", "--all", "--root", full.root, "--json").json
    assert [(c["kind"], c["channel"], c["pruned"]) for c in document["channels"]] == [
        ("deps", "helper", []),
        ("deps", "tiny", []),
        ("model", "net", []),
    ]


@pytest.mark.parametrize("verb", ["verify", "prune"])
def test_all_and_a_channel_contradict_each_other(full, verb):
    answer = full(verb, "--all", "--channel", "tiny", "--root", full.root)
    assert answer.code == 2
    assert "--all goes with every channel, and tiny names one" in answer.err


@pytest.mark.parametrize("verb", ["verify", "prune"])
def test_all_of_an_empty_root_is_nothing_to_do_it_to(efsprov, verb):
    efsprov.root.mkdir()
    answer = efsprov(verb, "--all", "--root", efsprov.root)
    assert (answer.code, "There is no channel in" in answer.err) == (10, True)


def test_a_plan_says_with_its_exit_code_whether_a_sync_would_change_something(efsprov):
    words = ("--framework", "tiny==1.0", "--runtime", RUNTIME, "--root", efsprov.root)
    assert efsprov("plan", *words, "--exit-code").code == 2
    assert efsprov("plan", *words).code == 0
    efsprov.sync("tiny==1.0")
    assert efsprov("plan", *words, "--exit-code").code == 0
    assert efsprov("plan", *words, "--exit-code", "--json").json["action"] == "nothing"
    efsprov.sync("tiny==2.0")
    assert efsprov("plan", *words, "--exit-code").code == 2, "it would make the older one current"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("verify", "--channel", "tini"), "Did you mean tiny?"),
        (("model", "show", "nett"), "Did you mean net?"),
        (("verfy",), "Did you mean 'verify'?"),
    ],
)
def test_what_is_nearly_right_is_named(full, words, sentence):
    answer = full(*words, "--root", full.root)
    assert sentence in " ".join(answer.err.split())
    assert "?." not in answer.err
