import hashlib
import os

import pytest

from efsprov.core.errors import IntegrityError, NotFoundError
from efsprov.store.journal import append, read_state
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.verify import (
    Finding,
    check_channel,
    check_release,
    quick_check,
    read_files,
    read_manifest,
    sha256_of,
)
from tests.store.minisync import open_channel, sync

UNKNOWN = "20200101T000000Z-00000000"


@pytest.fixture
def one(channel, builds):
    """A channel with one release, and the release's folder."""
    return channel, channel.release_path(sync(channel, builds[1]))


def found(channel, folder, *, full=True):
    return {
        finding.path.partition(f"{folder.name}/")[2]: finding.problem
        for finding in check_release(channel, folder.name, full=full)
    }


class TestRelease:
    def test_that_is_whole_has_no_findings(self, one):
        channel, folder = one
        assert found(channel, folder) == found(channel, folder, full=False) == {}
        assert quick_check(channel, folder.name) == ()

    @pytest.mark.parametrize("full", [True, False])
    def test_what_is_missing_added_or_of_another_type_or_size_is_named(self, one, full):
        channel, folder = one
        part = folder / "site/framework/part.py"
        part.unlink()
        part.symlink_to("__init__.py")
        (folder / "pylock.toml").unlink()
        with (folder / "site/framework/__init__.py").open("a") as file:
            file.write("#")
        (folder / "site/extra.py").write_text("")
        (folder / "site/json").mkdir()
        assert found(channel, folder, full=full) == {
            "pylock.toml": "is missing",
            "site/framework/part.py": "is not a regular file",
            "site/framework/__init__.py": "has 12 bytes instead of 11",
            "site/extra.py": "is not in the manifest",
            "site/json": "is not in the manifest",
        }

    def test_other_content_of_the_same_size_shows_in_the_full_check(self, one):
        channel, folder = one
        part = folder / "site/framework/part.py"
        part.write_bytes(part.read_bytes().replace(b"42", b"43"))
        assert found(channel, folder, full=False) == {}
        assert found(channel, folder) == {"site/framework/part.py": "has other content than its SHA-256 says"}

    def test_what_vanishes_while_it_is_read_is_a_finding(self, one):
        channel, folder = one

        def vanish(done, total):
            (folder / "site/framework/part.py").unlink(missing_ok=True)

        assert set(check_release(channel, folder.name, full=True, progress=vanish)) <= {
            Finding(f"releases/{folder.name}/site/framework/part.py", "cannot be read: No such file or directory")
        }

    def test_progress_ends_with_all_bytes(self, one, builds):
        channel, folder = one
        result = []
        check_release(channel, folder.name, full=True, progress=lambda *p: result.append(p))
        total = sum(entry.size for entry in builds[1].files)
        assert result[-1] == (total, total)
        assert result == sorted(result)

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("release.json", None, "is missing"),
            ("release.json", b"{}", "is not a manifest"),
            ("release.json", b"\xff", "is not a manifest"),
            ("files.list", None, "is not the file list that the manifest names"),
            ("files.list", b"", "is not the file list that the manifest names"),
            ("files.list", b"\xff\xfe", "is not the file list that the manifest names"),
        ],
    )
    def test_a_damaged_manifest_or_list_is_one_finding(self, one, name, content, problem):
        channel, folder = one
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        (finding,) = check_release(channel, folder.name, full=True)
        assert finding.path == f"releases/{folder.name}"
        assert problem in finding.problem

    def test_a_list_that_is_a_folder_is_one_finding(self, one):
        channel, folder = one
        (folder / "files.list").unlink()
        (folder / "files.list").mkdir()
        (finding,) = check_release(channel, folder.name, full=True)
        assert "is damaged" in finding.problem

    def test_another_releases_manifest_is_a_finding(self, one, builds):
        channel, folder = one
        folder.rename(channel.release_path(UNKNOWN))
        assert [str(f) for f in check_release(channel, UNKNOWN, full=False)] == [
            f"releases/{UNKNOWN} holds the manifest of {folder.name}"
        ]

    def test_that_is_not_there_is_a_finding(self, one):
        channel, _ = one
        (finding,) = check_release(channel, UNKNOWN, full=True)
        assert "There is no release" in finding.problem
        with pytest.raises(NotFoundError):
            read_manifest(channel, UNKNOWN)

    def test_its_files_are_those_that_were_built(self, one, builds):
        channel, folder = one
        assert read_files(channel, folder.name, read_manifest(channel, folder.name)) == builds[1].files
        (folder / "files.list").write_text("")
        with pytest.raises(IntegrityError, match="is not the file list"):
            read_files(channel, folder.name, read_manifest(channel, folder.name))


class TestChannel:
    def test_that_is_sound_has_no_findings(self, one):
        assert check_channel(one[0]) == ()

    def test_what_journal_folders_and_link_disagree_about_is_named(self, one, builds):
        channel, folder = one
        second = sync(channel, builds[2])
        append(channel, "publish", UNKNOWN, after=4)
        append(channel, "prune", folder.name, after=5)
        channel.release_path("20990101T000000Z-00000000").mkdir()
        (channel.releases / "lost+found").mkdir()
        channel.current.unlink()
        channel.current.symlink_to(f"releases/{folder.name}")
        assert {str(finding) for finding in check_channel(channel)} == {
            f"releases/{UNKNOWN} is in the journal, but not there",
            f"releases/{folder.name} was pruned, but is still there",
            "releases/20990101T000000Z-00000000 is there, but not in the journal",
            "releases/lost+found is not a release",
            f"current names {folder.name}, the journal's last activation {second}",
        }

    def test_leftovers_are_named(self, one):
        channel = one[0]
        (channel.staging / "abc").mkdir()
        (channel.trash / "def").mkdir()
        (channel.path / ".current.123").symlink_to("x")
        assert {str(finding) for finding in check_channel(channel)} == {
            ".current.123 was left by a writer that was killed",
            "staging/abc was left by a sync that was killed",
            "trash/def waits to be removed",
        }

    def test_what_a_publisher_has_in_hand_is_none(self, one):
        channel = one[0]
        with publisher_lock(open_channel(channel.root.path), wait=True):
            (channel.staging / "abc").mkdir()
            channel.release_path("20990101T000000Z-00000000").mkdir()
            assert check_channel(channel) == ()
        assert len(check_channel(channel)) == 2

    def test_a_release_that_came_after_the_state_was_read_is_none(self, one, builds):
        channel = one[0]
        state = read_state(channel)
        sync(open_channel(channel.root.path), builds[2], activate=False)
        assert check_channel(channel, state) == ()

    @pytest.mark.parametrize("text", ["/etc", f"releases/{UNKNOWN}"])
    def test_a_broken_current_is_named(self, one, text):
        channel = one[0]
        channel.current.unlink()
        channel.current.symlink_to(text)
        (finding,) = check_channel(channel)
        assert finding.path == "current"
        assert "is broken" in finding.problem

    def test_changes_nothing(self, one, snapshot):
        channel, folder = one
        before = snapshot()
        check_channel(channel)
        check_release(channel, folder.name, full=True)
        assert snapshot() == before


def test_hashes_large_files_in_pieces(tmp_path):
    content = os.urandom(3_000_001)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()
    (tmp_path / "x").write_bytes(b"")
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"").hexdigest()
