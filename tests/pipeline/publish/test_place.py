"""A composed tree onto a root of another file system: what is linked, and what is reported meanwhile, also over JSON lines."""

import shutil
import tempfile
from pathlib import Path

import pytest

from efsprov.builders.remote import wire
from efsprov.core import filelist
from efsprov.pipeline.publish.place import place
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.publish import activate_published, publish
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import prepare_for_publishing
from efsprov.store.verify import check_release
from tests.store.minisync import build, draft, open_channel


@pytest.fixture
def root(tmp_path):
    """A root on another file system than the trees: there a copy is needed, as on EFS."""
    folder = Path(tempfile.mkdtemp(prefix="efsprov-place-", dir="/dev/shm"))
    assert folder.stat().st_dev != tmp_path.stat().st_dev
    yield folder
    shutil.rmtree(folder)


def put(channel, built):
    """Place and publish a build; returns the release's id, its figures, and the events as another machine reads them."""
    lines = []

    def emit(event):
        lines.append(wire.Line(len(lines) + 1, "event", wire.event_body(event)).dump())

    with publisher_lock(channel, wait=False) as lock:
        prepared = prepare_for_publishing(lock, built.lock_digest[:16])
        figures = place(lock, built.source, built.files, prepared.staging, prepared.state, ProgressReporter(emit))
        text, release = filelist.dump(built.files), draft(channel, built)
        manifest = publish(lock, prepared.staging, text, release, since=prepared.state)
        activate_published(channel, manifest.id, since=prepared.state)
    return manifest.id, figures, [wire.read_event(wire.parse(line)) for line in lines]


def size(built):
    return sum(entry.size for entry in built.files)


def test_progress_ends_with_all_files_and_bytes(root, tmp_path):
    built = build(tmp_path, 1, extra=20)
    _, figures, events = put(open_channel(root), built)
    last = [event for event in events if event.state == "progress"][-1]
    assert (last.step, last.unit, last.done, last.total) == ("copy", "bytes", size(built), size(built))
    assert last.message == f"{len(built.files)} of {len(built.files)} files"
    assert last.rate > 0
    assert (figures.files, figures.bytes, figures.linked_files) == (len(built.files), size(built), 0)
    assert events[-1].state == "finished"
    assert events[-1].message == f"{len(built.files)} files written (0 MB)"


def test_what_the_channel_has_is_linked_and_no_part_of_the_rate(root, tmp_path):
    channel = open_channel(root)
    put(channel, build(tmp_path, 1, extra=20))
    built = build(tmp_path, 2, extra=20)
    release, figures, events = put(channel, built)
    shared = next(entry for entry in built.files if entry.path == "site/framework/part.py")
    assert (figures.linked_files, figures.linked_bytes) == (1, shared.size)
    last = [event for event in events if event.state == "progress"][-1]
    assert last.message == f"{len(built.files)} of {len(built.files)} files, 1 linked (0 MB)"
    assert last.done == size(built)
    assert "1 linked" in events[-1].message
    assert check_release(channel, release, full=True) == ()


def test_what_another_channel_has_is_linked_and_stays_when_that_one_goes(root, tmp_path):
    built = build(tmp_path, 1, extra=20)
    put(open_channel(root, name="other"), built)
    channel = open_channel(root)
    release, figures, _ = put(channel, built)
    assert (figures.linked_files, figures.linked_bytes) == (len(built.files), size(built))
    shutil.rmtree(root / "deps" / "other")
    assert check_release(channel, release, full=True) == ()


def test_on_one_file_system_the_tree_is_moved(tmp_path):
    built = build(tmp_path / "builds", 1)
    inode = built.source.stat().st_ino
    channel = open_channel(tmp_path / "root")
    release, figures, _ = put(channel, built)
    assert channel.release_path(release).stat().st_ino == inode
    assert figures.files == len(built.files)
