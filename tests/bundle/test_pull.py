"""A bundle becomes a release: whole or not at all, whatever the bundle holds and whenever the process dies."""

import io
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from efsprov.bundle import documents
from efsprov.bundle.blobs import open_bundle
from efsprov.bundle.folder import FolderPlace
from efsprov.bundle.pull import kind_of, pull, read_contents
from efsprov.core.errors import EfsprovError, IntegrityError
from efsprov.core.manifest import Manifest
from efsprov.store.journal import read_state
from efsprov.store.verify import check_channel, check_release, read_files, read_manifest
from tests.bundle.bundles import STEPS, Forger, pull_into, push_current
from tests.store.minisync import build, open_channel, sync


def assert_whole(channel, release):
    assert read_state(channel).current == release
    assert check_release(channel, release, full=True) == ()
    assert check_channel(channel) == ()


def test_a_pull_makes_the_release_that_was_pushed(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    done = pull_into(other, place)
    assert_whole(other, done.manifest.id)
    one, two = (read_manifest(c, read_state(c).current) for c in (channel, other))
    assert read_files(channel, one.id, one) == read_files(other, two.id, two)
    # what the release is stays as it was; what the run was is this run's
    assert documents.describe(one)[0] == documents.describe(two)[0]
    assert (two.tx, done.outcome, done.activated) == ("run-of-a-test", "published", True)


def test_the_same_bundle_makes_one_release(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    first = pull_into(other, place, run="first-run")
    again = pull_into(other, place, run="second-run")
    assert (again.outcome, again.manifest.id) == ("unchanged", first.manifest.id)
    # ... also where it was built
    assert pull_into(channel, place).outcome == "unchanged"


def test_what_the_root_has_is_linked_and_not_fetched(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    pull_into(other, place)
    sync(channel, build(tmp_path / "builds", 2, extra=30, modules=8))
    push_current(channel, place)
    asked = []

    class Watched(FolderPlace):
        def read(self, digest, offset, size):
            asked.append((digest, size))
            return super().read(digest, offset, size)

    done = pull_into(other, Watched(place.path), read_state(channel).current)
    assert done.manifest.figures.linked_files >= 1
    part = other.release_path(done.manifest.id) / "site/framework/part.py"
    assert part.stat().st_nlink == 2
    assert_whole(other, done.manifest.id)
    assert asked


def test_a_pull_without_activation_leaves_current_alone(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    sync(other, build(tmp_path / "builds", 7))
    before = read_state(other).current
    done = pull_into(other, place, activate=False)
    assert (read_state(other).current, done.activated) == (before, False)
    assert check_release(other, done.manifest.id, full=True) == ()


# Bundles that somebody else made


def pull_where_it_says(root, place):
    """Place a bundle in the channel that it names."""
    bundle = open_bundle(place)
    contents = read_contents(bundle, Manifest)
    into = root.channel(contents.manifest.channel, contents.manifest.target, kind=kind_of(bundle))
    return pull(into, contents, STEPS, run="run-of-a-test", reader=read_manifest, activate=True)


def change_list(forger, change):
    """Rewrite the file list in the first layer, and all digests above it."""
    first = forger.blob(forger.manifest["layers"][0]["digest"])
    members = []
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        members = [(m, tar.extractfile(m).read() if m.isfile() else None) for m in tar]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, before in members:
            content = before
            if member.name == "release/files.list":
                content = change(before)
                forger.release["files_sha256"] = documents.digest_of(content).removeprefix("sha256:")
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if content is not None else None)
    forger.replace_layer(0, out.getvalue())


def with_line(old, new):
    return lambda forger: change_list(forger, lambda content: content.replace(old, new))


def flip_last_layer(forger):
    layer = forger.manifest["layers"][-1]
    path = forger.path(layer["digest"])
    content = bytearray(path.read_bytes())
    at = content.index(b"NUMBER")
    content[at] ^= 1
    path.write_bytes(content)


def truncate_last_layer(forger):
    path = forger.path(forger.manifest["layers"][-1]["digest"])
    path.write_bytes(path.read_bytes()[:700])


def remove_last_layer(forger):
    forger.path(forger.manifest["layers"][-1]["digest"]).unlink()


HOSTILE = {
    "a file with other bytes": flip_last_layer,
    "a blob cut short": truncate_last_layer,
    "a blob that is missing": remove_last_layer,
    "a path out of the tree": with_line(b" site/framework/part.py", b" ../../../../evil.py"),
    "an absolute path": with_line(b" site/framework/part.py", b" /tmp/evil.py"),
    "a path with a dot": with_line(b" site/framework/part.py", b" site/./part.py"),
    "a file as a folder": with_line(b" site/framework/part.py", b" site/framework/__init__.py/x"),
    "a name twice": with_line(b" site/framework/part.py", b" site/framework/__init__.py"),
    "a name of efsprov's own": with_line(b" site/framework/part.py", b" release.json"),
    "the list itself": with_line(b" site/framework/part.py", b" files.list"),
    "setuid": with_line(b" 644 ", b" 4755 "),
    "nobody may read it": with_line(b" 644 ", b" 000 "),
    "a name that is too long": with_line(b" site/framework/part.py", b" site/" + b"n" * 300),
    "a size that no layer has": with_line(b" 644 28 ", b" 644 9999999999999 "),
    "a line that is none": lambda forger: change_list(forger, lambda content: content + b"what is this\n"),
    "another digest of the list": lambda forger: forger.release.update(files_sha256="0" * 64),
    "no digest of the list": lambda forger: forger.release.pop("files_sha256"),
    "another kind": lambda forger: forger.release.update(kind="virus"),
    "a channel out of the root": lambda forger: forger.release.update(channel="../x"),
    "a target out of the root": lambda forger: forger.release.update(target="../../x"),
    "a first layer that is no archive": lambda forger: forger.replace_layer(0, b"nothing " * 100),
    "a first layer without a list": lambda forger: forger.replace_layer(0, b"\0" * 10240),
    "fewer layers": lambda forger: forger.manifest["layers"].pop(),
    "layers in another order": lambda forger: forger.manifest["layers"].reverse(),
    "a manifest of manifests": lambda forger: forger.manifest.update(
        layers=[{"mediaType": documents.INDEX, "digest": "sha256:" + "0" * 64, "size": 3}]
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_bundle_is_refused_and_the_root_is_as_it_was(channel, place, tmp_path, what):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    sync(other, build(tmp_path / "builds", 7))
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "other").rglob("*") if path.is_file()}
    forger = Forger(place)
    HOSTILE[what](forger)
    forger.finish()
    with pytest.raises(EfsprovError) as caught:
        pull_where_it_says(other.root, place)
    assert caught.value.message
    assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "other").rglob("*") if path.is_file()} == before
    assert check_channel(other) == ()
    assert not list(tmp_path.rglob("evil.py"))


def test_an_index_that_changes_meanwhile_changes_nothing_of_what_was_opened(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")

    class Changing(FolderPlace):
        def read(self, digest, offset, size):
            (self.path / "index.json").write_bytes(b"{}")
            return super().read(digest, offset, size)

    assert_whole(other, pull_into(other, Changing(place.path)).manifest.id)


# Death at any moment

PROGRAM = """
import sys, time
from pathlib import Path
from efsprov.bundle.blobs import open_bundle
from efsprov.bundle.folder import FolderPlace
from efsprov.bundle.pull import kind_of, pull, read_contents
from tests.bundle.bundles import pull_into
from tests.store.minisync import open_channel

class Slow(FolderPlace):
    def read(self, digest, offset, size):
        time.sleep(0.02)
        return super().read(digest, offset, size)

print("began", flush=True)
pull_into(open_channel(Path(sys.argv[1])), Slow(Path(sys.argv[2])))
"""


def test_killed_over_and_over_it_ends_in_one_whole_release(channel, place, tmp_path):
    push_current(channel, place)
    root, killed = tmp_path / "other", 0
    for delay in [0.02 * n for n in range(40)]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, root, place.path], stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        if process.wait() == 0:
            break
        killed += 1
    assert killed >= 3
    other = open_channel(root)
    done = pull_into(other, place)
    assert_whole(other, done.manifest.id)
    assert other.release_ids() == (done.manifest.id,)
    assert list(other.staging.iterdir()) == []


def test_a_place_that_fails_halfway_leaves_the_root_as_it_was(channel, place, tmp_path):
    push_current(channel, place)
    other = open_channel(tmp_path / "other")
    last = Forger(place).manifest["layers"][-1]["digest"]

    class Failing(FolderPlace):
        def read(self, digest, offset, size):
            if digest == last:
                raise IntegrityError("made up")
            return super().read(digest, offset, size)

    with pytest.raises(IntegrityError, match="made up"):
        pull_into(other, Failing(place.path))
    assert not other.exists
    assert_whole(other, pull_into(other, place).manifest.id)
