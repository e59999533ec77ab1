"""The copy with real files and real threads."""

import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from efsprov.core import filelist
from efsprov.core.errors import IntegrityError, RootError
from efsprov.store.copying.copy import CopyLimits, CopyReport, copy_tree
from efsprov.store.copying.hard_links import LinkIndex, LinkSource
from efsprov.store.copying.resume_log import record_path
from efsprov.store.fs.fileops import FileOps
from tests.store.copy_trees import entry, framework, make_tree, tree_of, wanted
from tests.store.faulty_ops import NAME_CALLS, Fault, FaultyOps

REPOSITORY = Path(__file__).parents[3]
SMALL_PIECES = CopyLimits(workers=8, buffers=3, buffer_size=64 << 10)


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


def copy(source, staging, files, *, ops=None, **more) -> CopyReport:
    return copy_tree(source, staging, files, ops=ops or FileOps(), **{"limits": SMALL_PIECES} | more)


class TestContent:
    def test_staging_holds_exactly_the_files(self, source, staging):
        contents = framework()
        modes = {"site/pkg/libs/large.so": 0o755}
        report = copy(source, staging, make_tree(source, contents, modes))
        assert tree_of(staging) == wanted(contents, modes)
        assert report.files == report.written_files == len(contents)
        assert report.bytes == report.written_bytes == sum(map(len, contents.values()))
        assert (report.linked_files, report.kept_files, report.removed) == (0, 0, 0)

    def test_an_empty_tree(self, source, staging):
        source.mkdir()
        assert copy(source, staging, ()).files == 0
        assert tree_of(staging) == {}

    def test_only_what_is_listed_is_copied(self, source, staging):
        files = make_tree(source, {"a/wanted": b"1", "a/unwanted": b"2", "b/unwanted": b"3"})
        copy(source, staging, [files[1]])
        assert tree_of(staging) == wanted({"a/wanted": b"1"})

    @pytest.mark.parametrize("size", [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, (256 << 10) + 1, 5 * (64 << 10)])
    def test_sizes_around_a_piece(self, source, staging, size):
        contents = {"f": os.urandom(size)}
        copy(source, staging, make_tree(source, contents))
        assert tree_of(staging) == wanted(contents)

    def test_many_files_in_one_folder(self, source, staging):
        contents = {f"ops/{n}.h": str(n).encode() * 20 for n in range(700)}
        copy(source, staging, make_tree(source, contents))
        assert tree_of(staging) == wanted(contents)

    def test_many_nested_folders_with_no_room_for_descriptors(self, source, staging):
        contents = {f"{n % 5}/{n % 11}/{n % 3}/{n}/f": str(n).encode() for n in range(150)}
        copy(source, staging, make_tree(source, contents), limits=replace(SMALL_PIECES, folders=3))
        assert tree_of(staging) == wanted(contents)

    @pytest.mark.parametrize("path", ["site/pkg/libs/large.so", "site/pkg/1/1/module_1.py"])
    @pytest.mark.parametrize(
        "damage",
        [
            lambda p: p.unlink(),
            lambda p: p.write_bytes(p.read_bytes() + b"!"),
            lambda p: p.write_bytes(p.read_bytes()[:-1]),
            lambda p: p.write_bytes(b"~" + p.read_bytes()[1:]),
            lambda p: (p.unlink(), p.mkdir()),
            lambda p: (p.rename(p.with_name("moved")), p.symlink_to("moved")),
        ],
        ids=["gone", "longer", "shorter", "other content", "a folder", "a link"],
    )
    def test_a_source_that_changed_since_it_was_checked_is_refused(self, source, staging, path, damage):
        files = make_tree(source, framework())
        damage(source / path)
        with pytest.raises(IntegrityError, match=f"{path} is no longer what was checked"):
            copy(source, staging, files)

    def test_a_name_that_leads_out_of_the_tree_is_refused(self, source, staging):
        make_tree(source, {"a": b""})
        with pytest.raises(IntegrityError):
            copy(source, staging, [entry("../a", b"")])
        assert tree_of(staging) == {}


class TestModes:
    PROGRAM = """
import ctypes, os, sys
os.umask(0o077)
from tests.store.copy_trees import make_tree
from efsprov.store.copying.copy import copy_tree
from efsprov.store.fs.fileops import FileOps
from pathlib import Path
top = Path(sys.argv[1])
files = make_tree(top / "source", {"d/e/run": b"1", "d/data": b"2"}, {"d/e/run": 0o755})
if sys.argv[2] == "no-unshare":
    # A sandbox that forbids unshare(2): seccomp is asked to refuse it with EPERM.
    from tests.store.refuse_unshare import refuse_unshare
    refuse_unshare()
copy_tree(top / "source", top / "staging", files, ops=FileOps())
assert os.umask(0o077) == 0o077, "the process's umask changed"
"""

    @pytest.mark.parametrize("sandbox", ["free", "no-unshare"])
    def test_modes_come_out_whatever_the_umask_is(self, tmp_path, sandbox):
        subprocess.run([sys.executable, "-c", self.PROGRAM, tmp_path, sandbox], cwd=REPOSITORY, check=True)
        staging = tmp_path / "staging"
        modes = {p: (staging / p).stat().st_mode & 0o777 for p in ("d", "d/e", "d/e/run", "d/data")}
        assert modes == {"d": 0o755, "d/e": 0o755, "d/e/run": 0o755, "d/data": 0o644}


class TestResume:
    def test_what_is_there_is_not_written_again(self, source, staging):
        contents = framework()
        files = make_tree(source, contents)
        copy(source, staging, files)
        report = copy(source, staging, files)
        assert (report.written_bytes, report.kept_files) == (0, len(files))
        assert tree_of(staging) == wanted(contents)

    def test_without_notes_what_is_there_is_compared_and_not_written_again(self, source, staging):
        contents = framework()
        files = make_tree(source, contents)
        copy(source, staging, files)
        record_path(staging).unlink()
        report = copy(source, staging, files)
        assert (report.written_bytes, report.kept_bytes) == (0, report.bytes)

    def test_after_a_reboot_the_notes_of_a_local_disk_are_not_believed(self, source, staging):
        contents = framework()
        files = make_tree(source, contents)
        copy(source, staging, files)
        large = staging / "site/pkg/libs/large.so"
        large.write_bytes(bytes(large.stat().st_size))  # as a file system may leave it after a power loss
        record = record_path(staging)
        lines = record.read_text("utf-8", "surrogateescape").splitlines(keepends=True)
        record.write_text("".join(["# another boot\n", *lines[1:]]), "utf-8", "surrogateescape")
        report = copy(source, staging, files)
        assert report.written_bytes == files[[f.path for f in files].index("site/pkg/libs/large.so")].size
        assert tree_of(staging) == wanted(contents)

    def test_a_large_file_that_was_cut_off_is_continued(self, source, staging):
        contents = {"large": os.urandom(10 * (64 << 10))}
        files = make_tree(source, contents)
        staging.mkdir()
        (staging / "large").write_bytes(contents["large"][: 7 * (64 << 10)])
        (staging / "large").chmod(0o644)
        report = copy(source, staging, files)
        assert report.written_bytes == 3 * (64 << 10)
        assert tree_of(staging) == wanted(contents)

    def test_huge_files_become_whole_a_few_at_a_time(self, source, staging):
        contents = {f"shard-{n}": os.urandom(70 * SMALL_PIECES.buffer_size) for n in range(8)}
        files = make_tree(source, contents)

        class Half(FileOps):
            left = sum(map(len, contents.values())) // 2

            def pwrite(self, fd, data, offset):
                self.left -= len(data)
                if self.left <= 0:
                    raise OSError(errno.EIO, "half of it is written")
                return super().pwrite(fd, data, offset)

        with pytest.raises(RootError):
            copy(source, staging, files, ops=Half(), limits=replace(SMALL_PIECES, workers=32))
        assert copy(source, staging, files).kept_files >= 2
        assert tree_of(staging) == wanted(contents)

    def test_a_file_that_is_too_long_is_cut(self, source, staging):
        files = make_tree(source, {"f": b"right"})
        make_tree(staging, {"f": b"right and wrong"})
        copy(source, staging, files)
        assert tree_of(staging) == wanted({"f": b"right"})

    def test_what_is_not_wanted_is_removed(self, source, staging):
        files = make_tree(source, {"a/b": b"1", "c": b"2", "l": b"3"})
        make_tree(
            staging, {"a": b"a file where a folder is wanted", "c/d/e": b"and the reverse", "x/y/z": b"", "w": b""}
        )
        (staging / "l").symlink_to("/etc/passwd")
        (staging / "x" / "empty").mkdir()
        copy(source, staging, files)
        assert tree_of(staging) == wanted({"a/b": b"1", "c": b"2", "l": b"3"})
        assert Path("/etc/passwd").read_bytes() != b"3"

    def test_another_build_goes_into_the_same_staging(self, source, staging, tmp_path):
        copy(source, staging, make_tree(source, framework(1)))
        other = tmp_path / "other"
        contents = framework(2, files=20)
        copy(other, staging, make_tree(other, contents))
        copy(source, staging, make_tree(source, framework(1)))
        assert tree_of(staging) == wanted(framework(1))

    def test_a_note_is_forgotten_before_its_file_is_replaced(self, source, staging, tmp_path):
        """Same path, size and mode, A then B then A again, with the second copy killed at every call: never B for A."""
        one, two = tmp_path / "one", tmp_path / "two"
        files_a, files_b = make_tree(one, {"f": b"AAAA", "g": b"same"}), make_tree(two, {"f": b"BBBB", "g": b"same"})
        for at in range(1, 40):
            there = tmp_path / f"staging-{at}"
            copy(one, there, files_a)
            ops = FaultyOps(Fault("errors-from-then-on", at, errno.EIO))
            try:
                copy(two, there, files_b, ops=ops)
            except RootError:
                copy(one, there, files_a)
                assert tree_of(there) == wanted({"f": b"AAAA", "g": b"same"})
            else:
                assert tree_of(there) == wanted({"f": b"BBBB", "g": b"same"})
                if len(ops.calls) < at:
                    break
        else:
            pytest.fail("the copy needed more calls than were tried")

    def test_a_file_that_is_also_a_releases_is_not_written_to(self, source, staging, tmp_path):
        release = tmp_path / "release"
        make_tree(release, {"f": b"a release's content"})
        files = make_tree(source, {"f": b"a build's content!!"})
        staging.mkdir()
        os.link(release / "f", staging / "f")
        copy(source, staging, files)
        assert (release / "f").read_bytes() == b"a release's content"
        assert tree_of(staging) == wanted({"f": b"a build's content!!"})

    KILLED = """
import os, signal, sys
from pathlib import Path
from tests.store.copy_trees import framework, make_tree
from tests.store.copying.test_copy import SMALL_PIECES
from efsprov.core import filelist
from efsprov.store.copying.copy import copy_tree
from efsprov.store.fs.fileops import FileOps
top = Path(sys.argv[1])
files = filelist.parse((top / "files").read_text("utf-8", "surrogateescape"), where="files")
written = 0
class Killed(FileOps):
    def write(self, fd, data):
        self.count(data)
        return super().write(fd, data)
    def pwrite(self, fd, data, offset):
        self.count(data)
        return super().pwrite(fd, data, offset)
    def count(self, data):
        global written
        written += len(data)
        if written >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
copy_tree(top / "source", top / "staging", files, ops=Killed(), limits=SMALL_PIECES)
"""

    @pytest.mark.parametrize("share", [0.05, 0.3, 0.8, 0.98])
    def test_goes_on_after_a_kill(self, tmp_path, source, staging, share):
        contents = framework(files=200)
        files = make_tree(source, contents)
        total = sum(file.size for file in files)
        (tmp_path / "files").write_text(filelist.dump(files), "utf-8", "surrogateescape")
        killed = subprocess.run(
            [sys.executable, "-c", self.KILLED, tmp_path, str(int(total * share))], cwd=REPOSITORY, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        before = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
        assert before > 0
        report = copy(source, staging, files)
        assert tree_of(staging) == wanted(contents)
        # At most what was in the workers' hands is written again: a piece each, and what was not yet closed.
        assert report.written_bytes <= total * (1 - share) + 20 * SMALL_PIECES.buffer_size


class TestLinks:
    @pytest.fixture
    def release(self, tmp_path):
        return tmp_path / "release"

    @staticmethod
    def published(release, contents, modes=None):
        files = make_tree(release, contents, modes)
        (release / filelist.NAME).write_text(filelist.dump(files), "utf-8", "surrogateescape")
        return files

    @staticmethod
    def index(wanted_files, *releases):
        return LinkIndex.build(wanted_files, [(LinkSource.of(path), files) for path, files in releases])

    def test_what_a_release_has_is_linked(self, source, staging, release):
        old, new = framework(1), framework(1) | {"site/pkg/0/0/module_0.py": b"changed", "site/new.py": b"new"}
        listed = self.published(release, old)
        files = make_tree(source, new)
        report = copy(source, staging, files, links=self.index(files, (release, listed)))
        assert tree_of(staging) == wanted(new)
        assert report.linked_files == len(old) - 1
        assert report.linked_bytes == sum(len(c) for p, c in old.items() if p != "site/pkg/0/0/module_0.py")
        assert report.written_bytes == len(b"changed") + len(b"new")
        for path in old:
            same = (staging / path).stat().st_ino == (release / path).stat().st_ino
            assert same == (path != "site/pkg/0/0/module_0.py")

    def test_a_release_stays_whole_when_the_other_is_removed(self, source, staging, release):
        contents = framework(1)
        listed = self.published(release, contents)
        files = make_tree(source, contents)
        copy(source, staging, files, links=self.index(files, (release, listed)))
        for path in sorted(release.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        assert tree_of(staging) == wanted(contents)

    def test_the_first_release_that_has_a_file_is_taken(self, source, staging, release, tmp_path):
        older = tmp_path / "older"
        listed_older = self.published(older, {"f": b"1", "g": b"2"})
        listed = self.published(release, {"f": b"1"})
        files = make_tree(source, {"f": b"1", "g": b"2"})
        copy(source, staging, files, links=self.index(files, (release, listed), (older, listed_older)))
        assert (staging / "f").stat().st_ino == (release / "f").stat().st_ino
        assert (staging / "g").stat().st_ino == (older / "g").stat().st_ino

    @pytest.mark.parametrize("differs", ["mode", "content", "path"])
    def test_only_the_same_file_at_the_same_path_is_linked(self, source, staging, release, differs):
        name, content, mode = "f", b"1", 0o644
        old = {"mode": (name, content, 0o755), "content": (name, b"2", mode), "path": ("g", content, mode)}[differs]
        listed = self.published(release, {old[0]: old[1]}, {old[0]: old[2]})
        files = make_tree(source, {name: content})
        assert copy(source, staging, files, links=self.index(files, (release, listed))).linked_files == 0
        assert tree_of(staging) == wanted({name: content})

    @pytest.mark.parametrize(
        "damage",
        [
            lambda p: p.unlink(),
            lambda p: p.write_bytes(p.read_bytes() + b"!"),
            lambda p: p.chmod(0o600),
            lambda p: os.utime(p, ns=(0, p.stat().st_mtime_ns + 10_000_000_000)),
            lambda p: (p.unlink(), p.symlink_to("elsewhere")),
            lambda p: (p.unlink(), p.parent.rmdir()),
        ],
        ids=["gone", "longer", "another mode", "written to later", "a symlink", "folder gone"],
    )
    def test_a_damaged_release_is_not_linked_from(self, source, staging, release, damage):
        listed = self.published(release, {"d/f": b"content"})
        files = make_tree(source, {"d/f": b"content"})
        links = self.index(files, (release, listed))
        damage(release / "d/f")
        assert copy(source, staging, files, links=links).linked_files == 0
        assert tree_of(staging) == wanted({"d/f": b"content"})

    def test_a_release_that_is_pruned_meanwhile_is_no_error(self, source, staging, release):
        contents = framework(1, files=20)
        listed = self.published(release, contents)
        files = make_tree(source, contents)
        links = self.index(files, (release, listed))
        release.rename(release.with_name("trash"))
        assert copy(source, staging, files, links=links).linked_files == 0
        assert tree_of(staging) == wanted(contents)

    def test_a_file_with_177_names_gets_no_more(self, source, staging, release, tmp_path):
        listed = self.published(release, {"f": b"1", "g": b"2"})
        for number in range(175):
            os.link(release / "f", tmp_path / f"f{number}")
            os.link(release / "g", tmp_path / f"g{number}")
        os.link(release / "f", tmp_path / "one more")
        files = make_tree(source, {"f": b"1", "g": b"2"})
        ops = FaultyOps()
        report = copy(source, staging, files, ops=ops, links=self.index(files, (release, listed)))
        assert (report.linked_files, ops.calls.count("link")) == (1, 1)
        assert ((release / "f").stat().st_nlink, (release / "g").stat().st_nlink) == (177, 177)

    @pytest.mark.parametrize(
        ("code", "attempts"),
        [(errno.EMLINK, 100), (errno.ENOENT, 100), (errno.EPERM, 20), (errno.EXDEV, 20), (errno.EOPNOTSUPP, 20)],
    )
    def test_a_file_system_that_refuses_links_gets_copies(self, source, staging, release, code, attempts):
        """One file that may not be linked says nothing about the next; a release that may not is not asked for long."""
        calls = []

        class NoLinks(FileOps):
            def link(self, *args, **kwargs):
                calls.append(args)
                raise OSError(code, os.strerror(code))

        contents = framework(1, files=97)
        listed = self.published(release, contents)
        files = make_tree(source, contents)
        report = copy(source, staging, files, ops=NoLinks(), links=self.index(files, (release, listed)))
        assert (report.linked_files, report.written_files) == (0, len(files))
        assert tree_of(staging) == wanted(contents)
        assert len(calls) == attempts if attempts == len(files) else len(calls) < attempts

    def test_a_link_to_what_was_replaced_meanwhile_is_taken_back(self, source, staging, release):
        class Replacing(FileOps):
            def link(self, source, target, **kwargs):
                (release / "f").unlink()
                (release / "f").write_bytes(b"something else")
                super().link(source, target, **kwargs)

        listed = self.published(release, {"f": b"1"})
        files = make_tree(source, {"f": b"1"})
        report = copy(source, staging, files, ops=Replacing(), links=self.index(files, (release, listed)))
        assert report.linked_files == 0
        assert tree_of(staging) == wanted({"f": b"1"})
        assert (release / "f").read_bytes() == b"something else"


class TestFailures:
    CALLS = ("mkdir", "open", "write", "pwrite", "close", "link", "unlink", "rmdir", "rename", "ftruncate")

    @pytest.fixture
    def prepared(self, source, staging, tmp_path):
        """A staging in which every kind of call is needed: to make, write, repair, cut, link and remove."""

        def prepare():
            contents = framework(3, files=30)
            files = make_tree(source, contents)
            release = tmp_path / "release"
            linked = {path: contents[path] for path in list(contents)[:10]}
            listed = TestLinks.published(release, linked)
            make_tree(staging, {"site/pkg/3/0/module_24.py": contents["site/pkg/3/0/module_24.py"] + b"too long"})
            make_tree(
                staging, {"old/folder/file": b"", "site/pkg/libs/large.so": contents["site/pkg/libs/large.so"][:99]}
            )
            return files, contents, TestLinks.index(files, (release, listed))

        return prepare

    @pytest.mark.parametrize(
        ("call", "code"),
        [
            (call, code)
            for call in CALLS
            for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
            if (call, code) != ("link", errno.EACCES)  # which is answered with a copy
        ],
    )
    def test_a_refused_call_is_reported_with_its_path_and_nothing_leaks(self, source, staging, prepared, call, code):
        files, contents, links = prepared()
        threads, descriptors = threading.active_count(), _descriptors()

        class Failing(FaultyOps):
            def around(self, name, do):
                if name == call:
                    if name == "close":
                        do()
                    raise OSError(code, os.strerror(code))
                return super().around(name, do)

        with pytest.raises(RootError) as caught:
            copy(source, staging, files, ops=Failing(), links=links)
        assert str(staging.parent) in caught.value.message
        assert caught.value.hint
        assert threading.active_count() == threads
        assert _descriptors() == descriptors
        copy(source, staging, files, links=links)
        assert tree_of(staging) == wanted(contents)

    @pytest.mark.parametrize("call", sorted({"mkdir", "link", "unlink", "rmdir", "rename"}))
    def test_a_lost_reply_is_noticed_by_looking(self, source, staging, prepared, call):
        assert call in NAME_CALLS
        files, contents, links = prepared()

        class Lost(FaultyOps):
            def around(self, name, do):
                result = super().around(name, do)
                if name == call:
                    code = errno.ENOENT if call in {"unlink", "rmdir", "rename"} else errno.EEXIST
                    raise OSError(code, os.strerror(code))
                return result

        report = copy(source, staging, files, ops=Lost(), links=links)
        assert tree_of(staging) == wanted(contents)
        assert report.linked_files == 10

    def test_an_unreadable_folder_of_the_source_stops_everything(self, source, staging):
        files = make_tree(source, framework())
        (source / "site/pkg/2").rename(source / "site/pkg/elsewhere")
        with pytest.raises(IntegrityError, match=r"site/pkg/2/\d/module_\d+.py is no longer"):
            copy(source, staging, files)

    def test_what_progress_raises_stops_the_copy(self, source, staging):
        files = make_tree(source, framework(files=400))
        threads, descriptors = threading.active_count(), _descriptors()

        class Slow(FileOps):
            def close(self, fd):
                threading.Event().wait(0.05)
                super().close(fd)

        def interrupt(progress):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy(source, staging, files, ops=Slow(), progress=interrupt)
        assert (threading.active_count(), _descriptors()) == (threads, descriptors)
        assert 0 < len(tree_of(staging)) < len(files)

    def test_a_lost_lock_stops_the_copy(self, source, staging):
        files = make_tree(source, framework(files=400))

        class Slow(FileOps):
            def close(self, fd):
                threading.Event().wait(0.2)
                super().close(fd)

        def lost():
            raise IntegrityError("lost")

        with pytest.raises(IntegrityError, match="lost"):
            copy(source, staging, files, ops=Slow(), check=lost)

    INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
from tests.store.copy_trees import framework, make_tree
from efsprov.store.copying.copy import copy_tree
from efsprov.store.fs.fileops import FileOps
top = Path(sys.argv[1])
files = make_tree(top / "source", framework(files=600))
class Slow(FileOps):
    def close(self, fd):
        threading.Event().wait(0.1)
        super().close(fd)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    copy_tree(top / "source", top / "staging", files, ops=Slow())
except KeyboardInterrupt:
    assert not [t for t in threading.enumerate() if t.name.startswith("copy-")]
    sys.exit(7)
"""

    def test_ctrl_c_stops_it(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", self.INTERRUPTED, tmp_path], cwd=REPOSITORY, check=False, timeout=60
        )
        assert done.returncode == 7

    def test_a_server_that_answers_late_does_not_hold_up_the_others(self, source, staging):
        """One call blocks until everything else is done: the copy ends with it, and not in a deadlock."""
        contents = framework(files=200)
        files = make_tree(source, contents)
        others_done = threading.Event()
        seen = []

        class OneLate(FileOps):
            def close(self, fd):
                seen.append(fd)
                if len(seen) == 1:
                    others_done.wait(30)
                if len(seen) == len(files):
                    others_done.set()
                super().close(fd)

        copy(source, staging, files, ops=OneLate())
        assert others_done.is_set()
        assert tree_of(staging) == wanted(contents)


class TestProgress:
    def test_is_distinguished_from_the_calling_thread_and_ends_at_everything(self, source, staging):
        contents = framework(files=120)
        files = make_tree(source, contents)
        output, threads = [], set()

        class Slow(FileOps):
            def close(self, fd):
                threading.Event().wait(0.02)
                super().close(fd)

        def progress(p):
            output.append(p)
            threads.add(threading.current_thread())

        copy(source, staging, files, ops=Slow(), progress=progress)
        assert threads == {threading.current_thread()}
        assert len(output) > 2
        for earlier, later in pairwise(output):
            assert later.files_done >= earlier.files_done
            assert later.bytes_done >= earlier.bytes_done
            assert later.seconds >= earlier.seconds
        last = output[-1]
        assert (
            (last.files_done, last.bytes_done)
            == (last.files_total, last.bytes_total)
            == (len(files), sum(map(len, contents.values())))
        )
        assert (last.fraction, last.seconds_left) == (1.0, 0.0)
        assert output[1].rate > 0

    def test_counts_what_is_kept_and_linked_as_done(self, source, staging, tmp_path):
        release = tmp_path / "release"
        listed = TestLinks.published(release, {"linked": b"12"})
        files = make_tree(source, {"kept": b"1", "linked": b"12", "new": b"123"})
        copy(source, staging, [file for file in files if file.path == "kept"])
        output = []
        copy(source, staging, files, progress=output.append, links=TestLinks.index(files, (release, listed)))
        assert (output[-1].files_done, output[-1].bytes_done) == (3, 6)
        assert (output[-1].linked_files, output[-1].linked_bytes, output[-1].kept_files, output[-1].kept_bytes) == (
            1,
            2,
            1,
            1,
        )
        assert output[-1].written_bytes == 3


class TestBounds:
    MEASURED = """
import os, resource, sys, threading
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from pathlib import Path
from efsprov.core import filelist
from efsprov.store.copying.copy import copy_tree
from efsprov.store.fs.fileops import FileOps
from efsprov.store.copying.work_queue import WorkQueue
top = Path(sys.argv[1])
files = filelist.parse((top / "files").read_text(), where="files")
most = 0
class Watched(FileOps):
    def open(self, *args, **kwargs):
        global most
        fd = super().open(*args, **kwargs)
        most = max(most, len(os.listdir("/proc/self/fd")))
        return fd
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
copy_tree(top / "source", top / "staging", files, ops=Watched())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, most)
"""

    def test_memory_and_descriptors_stay_bounded(self, tmp_path, source):
        """Many files of several pieces at once, and more folders than may be open."""
        contents = {f"{n}/large": bytes([n]) * (12 << 20) for n in range(20)}
        contents |= {f"folder/{n}/{m}": bytes(200_000) for n in range(300) for m in range(2)}
        files = make_tree(source, contents)
        (tmp_path / "files").write_text(filelist.dump(files))
        done = subprocess.run(
            [sys.executable, "-c", self.MEASURED, tmp_path], cwd=REPOSITORY, check=True, capture_output=True, text=True
        )
        kilobytes, descriptors = map(int, done.stdout.split())
        assert kilobytes < 110 * 1024
        assert descriptors < 1000

    @pytest.mark.parametrize("limit", [64, 100, 256])
    def test_a_low_limit_of_open_files_is_kept(self, tmp_path, source, limit):
        contents = {f"{n % 7}/{n}/{m}": b"x" * n for n in range(300) for m in range(2)}
        files = make_tree(source, contents)
        (tmp_path / "files").write_text(filelist.dump(files))
        argv = [sys.executable, "-c", self.MEASURED, tmp_path, str(limit)]
        done = subprocess.run(argv, cwd=REPOSITORY, check=True, capture_output=True, text=True)
        assert int(done.stdout.split()[1]) < limit
        assert tree_of(tmp_path / "staging") == wanted(contents)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
