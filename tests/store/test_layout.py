import errno
import os
import tempfile
from pathlib import Path

import pytest

from efsprov.core.errors import IntegrityError, NotFoundError, RootError, UsageError
from efsprov.store.layout import Made, Root, make_directory
from tests.store.faulty_ops import Fault, FaultyOps
from tests.store.minisync import NAME, TARGET, open_channel, sync


class TestRoot:
    def test_is_absolute(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "efs").mkdir()
        assert Root.open(Path("efs")).path == tmp_path / "efs"

    def test_need_not_exist_for_writing(self, root):
        assert Root.open(root, writing=True).path == root
        assert not root.exists()

    @pytest.mark.parametrize("path", ["/", "//", "/..", "/proc/self/root"])
    def test_is_not_the_whole_machine(self, tmp_path, path):
        with pytest.raises(RootError, match="must not be '/'"):
            Root.open(Path(path), writing=True)

    def test_is_no_link_to_the_whole_machine(self, root):
        root.symlink_to("/")
        with pytest.raises(RootError, match="must not be '/'"):
            Root.open(root, writing=True)

    @pytest.mark.parametrize("writing", [True, False])
    def test_is_no_file_and_no_dangling_link(self, root, writing, snapshot):
        root.write_text("hello")
        before = snapshot()
        with pytest.raises(RootError, match="is not a directory"):
            Root.open(root, writing=writing)
        assert snapshot() == before
        root.unlink()
        root.symlink_to(root.with_name("nowhere"))
        with pytest.raises(RootError, match=r"is a link to .*nowhere, which does not exist"):
            Root.open(root, writing=writing)

    def test_that_is_missing_is_reported(self, root):
        with pytest.raises(RootError, match="does not exist"):
            Root.open(root)
        with pytest.raises(RootError, match="does not exist"):
            Root.open(root / "below" / "it", writing=True)

    def test_below_a_file_is_reported(self, root):
        root.write_text("")
        with pytest.raises(RootError):
            Root.open(root / "below", writing=True)

    @pytest.mark.parametrize("text", [b"{", b"[]", b"7", b'{"version": 1}', b"\xff\xfe", b"[" * 5000, b""])
    def test_with_a_damaged_format_is_refused(self, root, text):
        root.mkdir()
        (root / "efsprov.json").write_bytes(text)
        with pytest.raises(IntegrityError, match="is damaged"):
            Root.open(root)

    @pytest.mark.parametrize("writing", [True, False])
    def test_of_a_newer_format_is_refused(self, root, writing, snapshot):
        root.mkdir()
        (root / "efsprov.json").write_text('{"format": 2}')
        before = snapshot()
        with pytest.raises(RootError, match="is of format 2; this efsprov knows format 1"):
            Root.open(root, writing=writing)
        assert snapshot() == before


class TestChannels:
    @pytest.mark.parametrize("name", ["../x", "", "x" * 300, "A", "a/b"])
    def test_of_a_bad_name_are_refused(self, root, name):
        with pytest.raises(UsageError, match="cannot name a channel"):
            Root.open(root, writing=True).channel(name, TARGET)

    @pytest.mark.parametrize("target", ["../x", ".", "a/b", "a\0"])
    def test_of_a_bad_target_are_refused(self, root, target):
        with pytest.raises(UsageError, match="is not a target"):
            Root.open(root, writing=True).channel(NAME, target)

    def test_lie_by_kind_name_and_target(self, root):
        opened = Root.open(root, writing=True)
        deps, model = opened.channel(NAME, TARGET), opened.channel("resnet50", kind="model")
        assert (deps.path, deps.payload, deps.label) == (root / "deps" / NAME / TARGET, "site", f"{NAME} ({TARGET})")
        assert (model.path, model.payload, model.label) == (root / "models/resnet50", "files", "model resnet50")

    def test_are_those_that_something_was_published_in(self, channel, builds):
        assert not channel.exists
        sync(channel, builds[1])
        (channel.root.path / "deps" / "Not A Channel" / "x" / "journal").mkdir(parents=True)
        (channel.root.path / "deps" / "empty" / TARGET / "journal").mkdir(parents=True)
        (channel.root.path / "deps" / "file").write_text("")
        assert [found.name for found in channel.root.channels()] == [NAME]
        assert channel.root.channels(kind="model") == ()

    def test_that_are_missing_are_reported_with_those_that_exist(self, channel, builds):
        with pytest.raises(NotFoundError) as caught:
            open_channel(channel.root.path, name="other").require()
        assert "efsprov sync" in caught.value.hint
        sync(channel, builds[1])
        with pytest.raises(NotFoundError, match="There is no channel other") as caught:
            open_channel(channel.root.path, name="other").require()
        assert f"{NAME} ({TARGET})" in caught.value.hint

    def test_list_their_releases_by_id(self, channel, builds):
        first, second = sync(channel, builds[1]), sync(channel, builds[2])
        (channel.releases / "not-a-release").mkdir()
        (channel.releases / "20990101T000000Z-00000000").write_text("")
        assert channel.release_ids() == (first, second)


class TestMaking:
    @pytest.mark.parametrize("code", [errno.EEXIST, errno.EIO, errno.ENOENT])
    def test_a_folder_whose_reply_was_lost_was_made(self, tmp_path, code):
        assert make_directory(FaultyOps(Fault("lost-reply", 1, code)), tmp_path / "x")
        assert not make_directory(FaultyOps(), tmp_path / "x")

    def test_a_file_in_the_way_is_reported(self, tmp_path):
        (tmp_path / "x").write_text("")
        with pytest.raises(FileExistsError):
            make_directory(FaultyOps(), tmp_path / "x")

    def test_takes_away_what_it_made_up_to_what_is_in_use(self, channel):
        made = Made()
        channel.make_folders(made)
        (channel.root.path / "deps" / "other").mkdir()
        made.take_away()
        assert [path.name for path in (channel.root.path / "deps").iterdir()] == ["other"]
        assert (channel.root.path / "efsprov.json").exists()

    def test_takes_away_only_what_it_made(self, channel):
        channel.make_folders(Made())
        made = Made()
        channel.make_folders(made)
        made.take_away()
        assert channel.journal.is_dir()


@pytest.mark.parametrize(("path", "message"), [("", "cannot be written to"), ("new", "cannot be made")])
def test_a_root_that_cannot_be_written_is_reported(path, message):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        assert message in as_somebody_without_rights(lambda: Root.open(folder / path, writing=True))
        folder.chmod(0o755)


def as_somebody_without_rights(do) -> str:
    """The message of the error that ``do`` raises in a process that is not root's."""
    read, write = os.pipe()
    if os.fork() == 0:
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            do()
        except RootError as error:
            os.write(write, error.message.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read) as answer:
        return answer.read()
