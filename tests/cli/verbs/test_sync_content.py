"""What is in a release that a sync made: all of its wheels, or what `--slim` leaves of them, and nothing else."""

import importlib.metadata
import json

import pytest

from tests.cli.conftest import CommandLine
from tests.wheelhouse import build_wheel

FILES = {
    "fat/__init__.py": "VALUE = 1\n",
    "fat/include/fat.h": "int fat;\n" * 100,
    "fat/libfat.a": "!<arch>\n" * 50,
    "fat/typed.pyi": "VALUE: int\n",
    "fat/tests/__init__.py": "",
    "fat/tests/test_fat.py": "def test():\n    pass\n",
}
RULES = {
    "headers": {"fat/include/fat.h"},
    "static": {"fat/libfat.a"},
    "tests": {"fat/tests/__init__.py", "fat/tests/test_fat.py"},
}


@pytest.fixture
def efsprov(tmp_path, cache):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    build_wheel(wheels, "fat", "1.0", FILES)
    writing = "import pathlib\n(pathlib.Path(__file__).parent / 'cache.json').write_text('{}')\n"
    build_wheel(wheels, "writer", "1.0", {"writer/__init__.py": writing})
    return CommandLine(tmp_path, wheels, cache)


def slim(rules):
    return [word for rule in rules for word in ("--slim", rule)]


def released(efsprov, answer):
    return efsprov.root / "deps" / "fat" / answer.json["plan"]["target"] / "releases" / answer.json["result"]["release"]


def in_site(release):
    return {str(path.relative_to(release / "site")) for path in (release / "site").rglob("*") if path.is_file()}


def test_by_default_everything_is_in_it(efsprov):
    answer = efsprov.sync("fat", "--json")
    release = released(efsprov, answer)
    assert FILES.keys() <= in_site(release)
    assert json.loads((release / "release.json").read_text())["left_out"] == {}
    assert not (release / "left-out.list").exists()


def test_what_is_left_out_is_gone_from_site_record_and_metadata_and_is_listed(efsprov):
    answer = efsprov.sync("fat", *slim(RULES), "--json")
    assert answer.code == 0, answer.err
    release = released(efsprov, answer)
    gone = set.union(*RULES.values())
    assert in_site(release) & FILES.keys() == FILES.keys() - gone
    assert not (release / "site/fat/tests").exists()
    (found,) = importlib.metadata.distributions(path=[str(release / "site")])
    listed = {str(path) for path in found.files}
    assert listed & FILES.keys() == FILES.keys() - gone
    assert all((release / "site" / path).is_file() for path in listed)
    for path in found.files:
        if path.hash is not None:
            assert len(path.read_binary()) == path.size
    manifest = json.loads((release / "release.json").read_text())
    assert manifest["left_out"] == {rule: sum(len(FILES[path]) for path in paths) for rule, paths in RULES.items()}
    lines = (release / "left-out.list").read_text().splitlines()
    assert {line.split(" ", 3)[3] for line in lines} == {f"site/{path}" for path in gone}
    assert efsprov("verify", "--root", efsprov.root, "--channel", "fat", "--json").code == 0


def test_the_plan_says_what_each_rule_would_save(efsprov):
    answer = efsprov("plan", "--root", efsprov.root, "--framework", "fat", *slim(RULES), "--json")
    assert answer.code == 0, answer.err
    saved = {rule: sum(len(FILES[path]) for path in paths) for rule, paths in RULES.items()}
    assert answer.json["savings"] == {**saved, "stubs": len(FILES["fat/typed.pyi"])}
    assert answer.json["savings_unknown"] == []
    output = efsprov("plan", "--root", efsprov.root, "--framework", "fat", "--slim", "headers").out
    line = next(line for line in output.splitlines() if line.startswith("--slim"))
    assert line == "--slim would save: headers 900 B, static 400 B, tests 21 B, stubs 11 B. Left out: headers."
    assert not efsprov.root.exists()


def test_a_sync_with_other_rules_is_another_release(efsprov):
    first = efsprov.sync("fat", "--json").json["result"]["release"]
    second = efsprov.sync("fat", "--slim", "headers", "--json").json["result"]
    assert (second["outcome"], second["release"] != first) == ("published", True)


def test_a_package_that_writes_into_the_release_when_it_is_imported_is_refused(efsprov):
    answer = efsprov.sync("writer")
    assert answer.code == 7
    assert "OSError: [Errno 30] Read-only file system: " in answer.err
    assert "Functions see a release read-only, and so does this test" in answer.err
    assert not efsprov.root.exists()
