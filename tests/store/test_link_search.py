import pytest

from efsprov.core import filelist
from efsprov.store.copying.copy import copy_tree
from efsprov.store.fs.fileops import FileOps
from efsprov.store.journal import read_state
from efsprov.store.link_search import find_links
from efsprov.store.publish import mark
from tests.store.minisync import build, open_channel, sync


@pytest.fixture
def state(channel):
    return lambda: read_state(channel)


def sources(index):
    """By path, the release that it is linked from."""
    return {path: index.source_of(path).release.name for path in index.where}


def test_nothing_to_link_from_on_an_empty_root(channel, builds):
    assert find_links(channel, builds[1].files, read_state(channel)).where == {}


def test_the_current_release_comes_first_then_the_newest(channel, builds, state):
    one, two, three = sync(channel, builds[1]), sync(channel, builds[2]), sync(channel, builds[3], activate=False)
    found = sources(find_links(channel, builds[3].files, state()))
    assert found == {
        "site/framework/part.py": two,  # every release has it
        "site/framework/__init__.py": three,
        "pylock.toml": three,
    }
    assert one not in found.values()


def test_bad_and_damaged_releases_are_left_out(channel, builds, state):
    one, two, three = sync(channel, builds[1]), sync(channel, builds[2]), sync(channel, builds[3])
    mark(channel, "mark-bad", two)
    (channel.release_path(three) / filelist.NAME).write_text("not the list that the manifest names\n")
    assert set(sources(find_links(channel, builds[4].files, state())).values()) == {one}


def test_other_channels_are_inspected_where_the_own_does_not_have_enough(channel, root, builds, state):
    other = sync(open_channel(root, name="other"), builds[1])
    assert set(sources(find_links(channel, builds[1].files, state())).values()) == {other}
    own = sync(channel, builds[1])
    assert set(sources(find_links(channel, builds[1].files, state())).values()) == {own}


def test_only_the_current_release_of_another_channel_counts(channel, root, builds, state):
    elsewhere = open_channel(root, name="other")
    sync(elsewhere, builds[1])
    second = sync(elsewhere, builds[2])
    assert sources(find_links(channel, builds[1].files, state())) == {"site/framework/part.py": second}


def test_a_sync_links_across_channels(channel, root, tmp_path):
    elsewhere = open_channel(root, name="other")
    built = build(tmp_path / "builds", 1, extra=5)
    there = elsewhere.release_path(sync(elsewhere, built))
    links = find_links(channel, built.files, read_state(channel))
    report = copy_tree(built.source, tmp_path / "staging", built.files, ops=FileOps(), links=links)
    assert report.linked_files == len(built.files)
    for entry in built.files:
        assert (tmp_path / "staging" / entry.path).samefile(there / entry.path)
