"""The copy on NFSv4.1: what it costs, from which machine it goes on, and replies that are lost."""

import json
import sys
from pathlib import Path

import pytest

from devtools.nfs_lab import Fault
from devtools.nfs_lab.fixtures import nfs_guest, no_guest, shared_guest
from devtools.nfs_lab.guest import EXPORT, MOUNTS
from efsprov.core import filelist
from tests.store.copy_trees import framework, make_tree

__all__ = ["nfs_guest", "no_guest", "shared_guest"]
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

HERE = Path(__file__).parents[3]
HASH = (
    "import hashlib, json, os, sys\n"
    "print(json.dumps({os.path.relpath(os.path.join(d, n), sys.argv[1]): hashlib.sha256(open(os.path.join(d, n), 'rb').read())"
    ".hexdigest() for d, _, ns in os.walk(sys.argv[1]) for n in ns}))"
)


@pytest.fixture
def source(tmp_path):
    """A tree of 400 files, its list, and where both are."""
    files = make_tree(tmp_path / "source", framework(files=400))
    (tmp_path / "files").write_text(filelist.dump(files), "utf-8", "surrogateescape")
    return tmp_path, files


def copy(guest, client, source, staging, *options):
    folder, _ = source
    argv = [sys.executable, "-m", "tests.store.copy_program", folder / "source", staging, folder / "files", *options]
    return guest.run(client, [str(word) for word in argv], cwd=HERE, timeout=300)


def report(done):
    return json.loads(done.checked().stdout)


def assert_whole(guest, source, name):
    """The server has exactly the files, with their content."""
    found = json.loads(guest.run("server", [sys.executable, "-c", HASH, f"{EXPORT}/{name}"], check=True).stdout)
    assert found == {entry.path: entry.sha256 for entry in source[1]}


def test_round_trips_are_few(nfs_guest, source):
    before = nfs_guest.rpcs("a")
    report(copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging"))
    spent = nfs_guest.rpcs("a") - before
    files = len(source[1])
    assert_whole(nfs_guest, source, "staging")
    assert spent.total / files < 4.5
    assert spent.ops.get("SETATTR", 0) == 0
    assert spent.ops["OPEN"] <= files + 5
    assert spent.ops.get("LOOKUP", 0) < 0.2 * files


def test_a_second_copy_links_and_writes_nothing_but_its_notes(nfs_guest, source):
    first = f"{MOUNTS['a']}/release"
    report(copy(nfs_guest, "a", source, first))
    nfs_guest.run("a", ["cp", source[0] / "files", f"{first}/{filelist.NAME}"], check=True)
    nfs_guest.remount("a")
    before = nfs_guest.rpcs("a")
    result = report(copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging", "--release", first))
    spent = nfs_guest.rpcs("a") - before
    assert result["linked_files"] == len(source[1])
    assert spent.ops["LINK"] == len(source[1])
    assert spent.write_bytes < 3 * (source[0] / "files").stat().st_size
    assert_whole(nfs_guest, source, "staging")


@pytest.mark.parametrize("other", ["a", "b"], ids=["the same machine", "another machine"])
def test_goes_on_after_a_kill(nfs_guest, source, other):
    total = sum(entry.size for entry in source[1])
    killed = copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging", "--kill-at", int(total * 0.8))
    assert killed.code == -9
    before = nfs_guest.rpcs(other)
    result = report(copy(nfs_guest, other, source, f"{MOUNTS[other]}/staging"))
    spent = nfs_guest.rpcs(other) - before
    assert_whole(nfs_guest, source, "staging")
    in_hand = 64 * 4000 + (1 << 20)  # the files that the workers were at, and the notes
    assert result["kept_bytes"] > total * 0.8 - in_hand  # noted as whole, or read and found to be what it should be
    assert spent.write_bytes < total * 0.2 + in_hand


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("MKDIR", "die-after"),
        ("MKDIR", "cut-after"),
        ("OPEN", "die-after"),
        ("OPEN", "die-before"),
        ("WRITE", "die-after"),
        ("WRITE", "die-before"),
        ("COMMIT", "die-before"),
        ("RENAME", "die-after"),
    ],
)
def test_a_server_that_dies_or_loses_a_reply(nfs_guest, source, operation, action):
    nth = 1 if operation in {"COMMIT", "RENAME"} else 5
    nfs_guest.restart_server(Fault(operation, action, nth=nth))
    report(copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging"))
    assert_whole(nfs_guest, source, "staging")
    assert nfs_guest.server_deaths() > 0 or action == "cut-after"


def test_a_link_whose_reply_is_lost(nfs_guest, source):
    first = f"{MOUNTS['a']}/release"
    report(copy(nfs_guest, "a", source, first))
    nfs_guest.run("a", ["cp", source[0] / "files", f"{first}/{filelist.NAME}"], check=True)
    nfs_guest.restart_server(Fault("LINK", "die-after", nth=7))
    result = report(copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging", "--release", first))
    assert result["linked_files"] == len(source[1])
    assert_whole(nfs_guest, source, "staging")


def test_a_server_that_is_full_is_reported_with_what_to_do(nfs_guest, source):
    nfs_guest.restart_server(Fault("WRITE", "errno", nth=20, count=10_000, error=28))
    done = copy(nfs_guest, "a", source, f"{MOUNTS['a']}/staging")
    assert done.code == 1
    assert "RootError: Copying failed at /mnt/a/staging/" in done.stderr
    assert "No space left on device" in done.stderr
    assert "free space" in done.stderr
    nfs_guest.restart_server()
    report(copy(nfs_guest, "b", source, f"{MOUNTS['b']}/staging"))
    assert_whole(nfs_guest, source, "staging")
