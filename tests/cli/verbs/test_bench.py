"""`efsprov bench import`, and what `efsprov show` tells of an import."""

import json
import re

import pytest

from tests.cli.conftest import RUNTIME, snapshot


@pytest.fixture
def filled(efsprov):
    for version in ("1.0", "2.0"):
        assert efsprov.sync(f"tiny=={version}").code == 0
    return efsprov


def test_a_table_compares_both_ways(filled):
    answer = filled("bench", "import", "--root", filled.root, "--rounds", "1")
    assert answer.code == 0, answer.err
    assert re.search(r"\S+Z-[0-9a-f]{8}  tiny \(python.*\): import tiny\n  one round, warm caches\n", answer.out)
    for row in (
        r"wall +[\d.]+ m?s +[\d.]+ m?s +\d+\.\d\d",
        r"of it the shim +[\d.]+ m?s",
        r"peak memory +[\d.]+ MB +[\d.]+ MB +[01]\.\d\d",
    ):
        assert re.search(row, answer.out), answer.out
    assert "note:" not in answer.out
    assert "NFS" not in answer.out


def test_a_document_has_every_round(filled):
    before = snapshot(filled.root)
    answer = filled("bench", "import", "--root", filled.root, "--rounds", "2", "--json")
    document = answer.json
    assert (document["channel"], document["imports"], document["nfs"], document["cold"]) == (
        "tiny",
        ["tiny"],
        False,
        False,
    )
    for way in ("plain", "accelerated", "shim"):
        rounds = document[way]["rounds"]
        assert len(rounds) == 2
        walls = [cost["wall"] for cost in rounds]
        assert min(walls) <= document[way]["median"]["wall"] <= max(walls)
    assert all(cost["indexed"] for cost in document["accelerated"]["rounds"])
    assert snapshot(filled.root) == before


def test_any_release_and_any_module_can_be_measured(filled):
    older = json.loads(filled("list", "--root", filled.root, "--json").out)["channels"][0]["releases"][1]["id"]
    answer = filled("bench", "import", older, "--root", filled.root, "--import", "tiny", "--rounds", "1", "--json")
    assert answer.json["release"] == older


def test_a_damaged_index_is_reported(filled):
    index = next(filled.root.glob("deps/tiny/*/current/import.index"))
    index.write_bytes(index.read_bytes()[:-1])
    answer = filled("bench", "import", "--root", filled.root, "--rounds", "1")
    assert answer.code == 0, answer.err
    assert "note:" in answer.out
    assert "is imported without its index" in answer.out


def test_a_module_that_is_not_there_is_reported(filled):
    answer = filled("bench", "import", "--root", filled.root, "--import", "absent", "--json")
    assert answer.code != 0
    assert "No module named 'absent'" in answer.json["error"]["message"]
    assert "Traceback (most" not in answer.err


def test_no_rounds_are_refused(filled):
    assert filled("bench", "import", "--root", filled.root, "--rounds", "0").code == 2


def test_show_tells_what_an_import_costs(filled):
    answer = filled("show", "--root", filled.root)
    assert re.search(r"import +uses \d+ B of bytecode in 1 module: read ahead in 1 read of \d+ B\n", answer.out), (
        answer.out
    )
    assert re.search(r" took the builder [\d.]+ s, [\d.]+ s of CPU and [\d.]+ MB of memory", answer.out)
    cost = filled("show", "--root", filled.root, "--json").json["import"]
    assert cost["hot_modules"] == 1
    assert cost["touched_bytes"] == cost["hot_bytes"] + cost["library_bytes"] > 0


def test_show_tells_when_there_is_no_index(filled):
    next(filled.root.glob(f"deps/tiny/{RUNTIME}*/current/import.index")).unlink()
    assert "not accelerated" in filled("show", "--root", filled.root).out
    assert filled("show", "--root", filled.root, "--json").json["import"] is None


def test_several_imports_are_made_fast(efsprov):
    assert efsprov.sync("needs-helper", "--import", "needs_helper,helper", "--import", "json").code == 0
    manifest = efsprov("show", "--root", efsprov.root, "--json").json["manifest"]
    assert manifest["smoke"]["imports"] == ["needs_helper", "helper", "json"]
    measured = efsprov(
        "bench", "import", "--root", efsprov.root, "--rounds", "1", "--import", "json,helper", "--json"
    ).json
    assert measured["imports"] == ["json", "helper"]
