"""A library that neither the release nor Lambda's runtime brings is told by sync, and by plan once it can know."""

import pytest

from tests.cli.conftest import RUNTIME, CommandLine
from tests.pipeline.forge import elf
from tests.wheelhouse import build_wheel


@pytest.fixture
def efsprov(tmp_path, cache):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    needing = {"native/__init__.py": "", "native/lib_native.so": elf(needed=["libgomp.so.1", "libc.so.6"])}
    build_wheel(wheels, "native", "1.0", needing)
    build_wheel(wheels, "native", "2.0", needing, requires=["openmp"])
    build_wheel(
        wheels, "openmp", "1.0", {"openmp/__init__.py": "", "openmp/libgomp-1a.so.1": elf(soname="libgomp.so.1")}
    )
    build_wheel(wheels, "pure", "1.0", requires=["native"])
    return CommandLine(tmp_path, wheels, cache)


def run(efsprov, verb, *wanted, runtime=RUNTIME):
    words = [word for each in wanted for word in ("-f", each)]
    answer = efsprov(verb, "--root", efsprov.root, *words, "--channel", "c", "--runtime", runtime, "--json")
    assert answer.code == 0, answer.err
    return answer


def test_sync_tells_it_and_plan_does_where_all_wheels_were_looked_into(efsprov):
    assert "libgomp" not in str(run(efsprov, "plan", "native==1.0").json["warnings"])
    answer = run(efsprov, "sync", "native==1.0")
    assert "native/lib_native.so of native-1.0-py3-none-any.whl needs the system library libgomp.so.1" in answer.err
    assert "add a layer" in answer.err
    plan = run(efsprov, "plan", "native==1.0")
    assert [warning for warning in plan.json["warnings"] if "libgomp.so.1" in warning and "add a layer" in warning]
    assert "libgomp.so.1" in plan.err
    assert "libgomp" not in str(run(efsprov, "plan", "pure", "native==1.0").json["warnings"]), "pure is unknown"


def test_what_another_wheel_brings_is_no_reason_to_tell(efsprov):
    assert "libgomp" not in run(efsprov, "sync", "native==2.0").err
    assert "libgomp" not in str(run(efsprov, "plan", "native==2.0").json["warnings"])


def test_a_host_has_what_it_has(efsprov):
    assert "libgomp" not in run(efsprov, "sync", "native==1.0", runtime="host").err


def test_a_damaged_note_is_none(efsprov, cache):
    run(efsprov, "sync", "native==1.0")
    notes = [note for note in cache.glob("wheels/*/libraries-*.json") if "libgomp" in note.read_text()]
    assert notes
    for text in ("", "{", "[]", '{"brings": 1, "needs": {}}', '{"brings": [], "needs": []}', "[" * 9999):
        for note in notes:
            note.write_text(text)
        assert "libgomp" not in str(run(efsprov, "plan", "native==1.0").json["warnings"])
