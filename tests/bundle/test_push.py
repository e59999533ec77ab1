"""What a push brings to a place: the same bytes from every root, and only those that are missing there."""

import os
import threading

import pytest

from efsprov.bundle.blobs import open_bundle, read_index
from efsprov.bundle.folder import FolderPlace
from efsprov.core.errors import IntegrityError
from efsprov.store.journal import read_state
from tests.bundle.bundles import pull_into, push_current
from tests.store.minisync import build, open_channel, sync


def blobs(place):
    return {path.name: path.stat().st_ino for path in (place.path / "blobs" / "sha256").iterdir()}


def test_the_same_release_has_the_same_digests_wherever_it_is_built(tmp_path):
    pushed = []
    for name, umask in (("one", 0o022), ("another/place", 0o077)):
        before = os.umask(umask)
        try:
            (tmp_path / name).mkdir(parents=True)
            channel = open_channel(tmp_path / name / "root")
            sync(channel, build(tmp_path / name / "builds", 1, extra=5))
            pushed.append(push_current(channel, FolderPlace(tmp_path / name / "oci")))
        finally:
            os.umask(before)
    assert pushed[0].digest == pushed[1].digest
    assert blobs(FolderPlace(tmp_path / "one/oci")).keys() == blobs(FolderPlace(tmp_path / "another/place/oci")).keys()


def test_a_push_after_a_pull_has_the_same_digests(channel, place, tmp_path):
    first = push_current(channel, place)
    other = open_channel(tmp_path / "other")
    pull_into(other, place)
    assert push_current(other, FolderPlace(tmp_path / "oci2")).digest == first.digest


def test_what_is_there_is_not_sent(channel, place, tmp_path):
    first = push_current(channel, place)
    assert first.sent >= first.size
    before = blobs(place)
    again = push_current(channel, place)
    assert (again.digest, again.blobs) == (first.digest, 0)
    sync(channel, build(tmp_path / "builds", 2, extra=30, modules=8))
    second = push_current(channel, place)
    assert 0 < second.blobs < second.layers + 1
    kept = blobs(place)
    assert {name: kept[name] for name in before if name in kept}.keys() == before.keys()
    assert len(read_index(place).manifests) == 2


def test_every_blob_is_sent_again_when_asked(channel, place):
    first = push_current(channel, place)
    victim = open_bundle(place).manifest.layers[-1]
    path = place.path / "blobs" / "sha256" / victim.digest.removeprefix("sha256:")
    path.write_bytes(b"x" * victim.size)
    assert push_current(channel, place, every_blob=True).blobs == first.layers
    assert open_bundle(place).place.read(victim.digest, 0, 1) != b"x"


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(b"x" * p.stat().st_size), lambda p: p.write_bytes(b""), os.unlink]
)
def test_a_damaged_release_gets_no_name(channel, place, damage):
    damage(channel.release_path(read_state(channel).current) / "site/framework/data/3.bin")
    with pytest.raises(IntegrityError, match="is not what the release's file list says"):
        push_current(channel, place)
    assert place.read_index().content is None


def test_pushers_at_the_same_time_end_with_all_their_bundles(tmp_path):
    place, channels = FolderPlace(tmp_path / "oci"), []
    for number in range(6):
        channels.append(open_channel(tmp_path / f"root{number}", name=f"framework{number}"))
        sync(channels[-1], build(tmp_path / f"builds{number}", number))
    threads = [threading.Thread(target=push_current, args=(channel, place)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {d.ref.partition(".")[0] for d in read_index(place).manifests} == {c.name for c in channels}
