"""Links in the place of a channel's folders: no command follows one, and verify names it."""

import os
from datetime import timedelta

import pytest

from efsprov.core.errors import IntegrityError
from efsprov.core.retention import Rules
from efsprov.store.current import project, read_current
from efsprov.store.journal import read_entries, read_state
from efsprov.store.layout import Root
from efsprov.store.link_search import find_links
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, mark, rollback
from efsprov.store.repair import is_tidy, repair
from efsprov.store.verify import check_channel, check_release
from tests.store.minisync import open_channel, sync

FOLDERS = ["deps", "deps/framework", "deps/framework/python3.11-x86_64", "releases", "staging", "journal", "trash"]


@pytest.fixture(params=FOLDERS)
def linked(request, channel, builds, tmp_path):
    """A channel of two releases, one of whose folders lies outside of the root now, with more in it, and a link to it."""
    first, second = sync(channel, builds[1]), sync(channel, builds[2])
    folder = (channel.root.path if request.param.startswith("deps") else channel.path) / request.param
    outside = tmp_path / "outside"
    folder.rename(outside)
    for name in ("key", "sub/file", f"{second}.x", "site/framework/part.py"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(name)
    folder.symlink_to(outside)
    return open_channel(channel.root.path), folder, first, second


def contents(top):
    return {str(p.relative_to(top)): p.lstat()[:7] for p in sorted(top.rglob("*"))}


COMMANDS = {
    "sync": lambda channel, builds, first, second: sync(channel, builds[3]),
    "the same sync": lambda channel, builds, first, second: sync(channel, builds[2]),
    "activate": lambda channel, builds, first, second: activate(channel, first),
    "rollback": lambda channel, builds, first, second: rollback(channel),
    "pin": lambda channel, builds, first, second: mark(channel, "pin", first),
    "mark-bad": lambda channel, builds, first, second: mark(channel, "mark-bad", first),
    "repair": lambda channel, builds, first, second: repair(channel),
    "plan of prune": lambda channel, builds, first, second: plan_prune(channel, Rules()),
    "project": lambda channel, builds, first, second: project(channel),
    "history": lambda channel, builds, first, second: read_entries(channel),
    "current": lambda channel, builds, first, second: read_current(channel),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_follows_one(linked, builds, tmp_path, command):
    channel, folder, first, second = linked
    outside, root = contents(tmp_path / "outside"), contents(channel.root.path)
    with pytest.raises(IntegrityError, match="efsprov follows no links in the place of its folders") as caught:
        COMMANDS[command](channel, builds, first, second)
    assert str(folder) in caught.value.message
    assert contents(tmp_path / "outside") == outside
    assert contents(channel.root.path) == root


def test_verify_names_it_and_looks_at_nothing_behind_it(linked):
    channel, folder, *_ = linked
    (finding,) = check_channel(channel)
    assert finding.path == str(folder)
    assert finding.problem.startswith("is a link to ")


def test_a_prune_that_was_planned_before_touches_nothing(channel, builds, tmp_path):
    releases = [sync(channel, builds[number]) for number in range(1, 4)]
    plan = plan_prune(channel, Rules(keep_last=1, grace=timedelta(0)))
    assert plan.doomed
    outside = tmp_path / "outside"
    channel.trash.rename(outside)
    (outside / releases[0]).mkdir()
    channel.trash.symlink_to(outside)
    with pytest.raises(IntegrityError, match="follows no links"):
        execute_prune(open_channel(channel.root.path), plan)
    assert (outside / releases[0]).exists()
    assert set(channel.release_ids()) == set(releases)


def test_a_root_that_is_a_link_is_fine(channel, builds, tmp_path):
    sync(channel, builds[1])
    (tmp_path / "mnt").symlink_to(channel.root.path)
    other = open_channel(tmp_path / "mnt")
    sync(other, builds[2])
    assert check_channel(other) == ()


def test_links_beside_the_channels_are_no_channels_and_named(channel, builds):
    sync(channel, builds[1])
    alias = channel.root.path / "deps" / "alias"
    alias.symlink_to("framework")
    target = channel.path.parent / "python3.12-x86_64"
    target.symlink_to(channel.path.name)
    assert [c.name for c in channel.root.channels()] == ["framework"]
    assert {f.path for f in check_channel(channel)} == {str(alias), str(target)}
    assert channel.root.links(kind="model") == ()


def test_another_channel_behind_a_link_is_nothing_to_link_from(channel, builds, root):
    sync(channel, builds[1])
    mine = open_channel(root, name="mine")
    sync(mine, builds[2])
    wanted = builds[1].files
    assert channel.release_ids()[0] in str(find_links(mine, wanted, read_state(mine)).sources)
    elsewhere = channel.path / "elsewhere"
    channel.releases.rename(elsewhere)
    channel.releases.symlink_to(elsewhere)
    assert {source.release.parent for source in find_links(mine, wanted, read_state(mine)).sources} == {mine.releases}


@pytest.mark.parametrize("name", ["release.json", "files.list"])
@pytest.mark.parametrize("make", ["link", "fifo", "folder"])
def test_a_releases_own_files_must_be_files(channel, builds, name, make, tmp_path):
    release = sync(channel, builds[1])
    file = channel.release_path(release) / name
    text = file.read_bytes()
    file.unlink()
    if make == "link":
        (tmp_path / "copy").write_bytes(text)
        file.symlink_to(tmp_path / "copy")
    elif make == "fifo":
        os.mkfifo(file)
    else:
        file.mkdir()
    (finding,) = check_release(channel, release, full=True)
    assert "is damaged" in finding.problem


@pytest.mark.parametrize("inner", ["site", "site/framework"])
def test_folders_of_a_release_that_are_links_are_findings(channel, builds, inner, tmp_path):
    release = sync(channel, builds[1])
    folder = channel.release_path(release) / inner
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert {f.problem for f in check_release(channel, release, full=True)} == {"is missing"}


def test_a_release_that_is_a_link_is_none(channel, builds, tmp_path):
    sync(channel, builds[1])
    stray = channel.releases / "20200101T000000Z-00000000"
    stray.symlink_to(tmp_path)
    assert [str(f) for f in check_channel(channel)] == [f"releases/{stray.name} is not a release"]


def test_a_channel_with_one_is_not_tidy(channel, builds, tmp_path):
    sync(channel, builds[1])
    state = read_state(channel)
    assert is_tidy(channel, state)
    channel.staging.rmdir()
    channel.staging.symlink_to(tmp_path / "builds")
    assert not is_tidy(channel, state)


def test_models_have_the_same_rule(root, channel, builds, tmp_path):
    sync(channel, builds[1])
    model = Root.open(root, writing=True).channel("net", kind="model")
    (root / "models").mkdir()
    (root / "models" / "net").symlink_to(tmp_path)
    with pytest.raises(IntegrityError, match="follows no links"):
        model.require()
    assert model.root.links(kind="model") == (root / "models" / "net",)
