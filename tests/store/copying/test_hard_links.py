import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core import filelist
from efsprov.store.copying.cached_stat import cached_stat
from efsprov.store.copying.hard_links import MAX_LINKS, LinkIndex, LinkSource
from tests.store.copy_trees import entry, make_tree

contents = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([b"1", b"22"]))


def source(tmp_path, name="release"):
    return LinkSource(tmp_path / name, 10**18)


@given(contents, st.lists(contents, max_size=4))
def test_each_file_is_found_in_the_first_release_that_has_it(tmp_path_factory, wanted, releases):
    top = tmp_path_factory.getbasetemp()
    files = [entry(path, content) for path, content in wanted.items()]
    lists = [[entry(path, content) for path, content in release.items()] for release in releases]
    index = LinkIndex.build(files, [(source(top, str(n)), listed) for n, listed in enumerate(lists)])
    for file in files:
        first = next((n for n, listed in enumerate(lists) if file in listed), None)
        found = index.source_of(file.path)
        assert (found.release.name if found else None) == (str(first) if first is not None else None)


def test_releases_are_not_read_once_everything_is_found(tmp_path):
    files = [entry("a", b"1")]

    def releases():
        yield source(tmp_path), files
        pytest.fail("a second release was read")

    assert LinkIndex.build(files, releases()).main == source(tmp_path)


def test_main_is_the_release_that_has_most(tmp_path):
    files = [entry(name, b"1") for name in "abc"]
    index = LinkIndex.build(files, [(source(tmp_path, "few"), files[:1]), (source(tmp_path, "most"), files)])
    assert index.main.release.name == "most"
    assert LinkIndex().main is None


@pytest.fixture
def release(tmp_path):
    files = make_tree(tmp_path / "release", {"f": b"content"})
    (tmp_path / "release" / filelist.NAME).write_text(filelist.dump(files))
    return tmp_path / "release"


def refusal(release, listed, name="f"):
    fd = os.open(release, os.O_RDONLY)
    try:
        return LinkSource.of(release).refusal(cached_stat(name, fd), listed)
    finally:
        os.close(fd)


def test_the_file_that_the_list_names_may_be_linked(release):
    assert refusal(release, entry("f", b"content")) == ""


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (entry("f", b"contents"), "another size"),
        (entry("f", b"content", 0o755), "another size or mode"),
        (entry("g", b"content"), "not there"),
    ],
)
def test_another_may_not(release, listed, expected):
    assert expected in refusal(release, listed, listed.path)


def test_a_file_that_was_written_after_the_list_may_not(release):
    listed = (release / filelist.NAME).stat().st_mtime_ns
    os.utime(release / "f", ns=(0, listed + 1_000_000_000))
    assert refusal(release, entry("f", b"content")) == ""  # within what clocks of file systems resolve
    os.utime(release / "f", ns=(0, listed + 3_000_000_000))
    assert "changed after it was published" in refusal(release, entry("f", b"content"))


def test_a_file_with_all_its_links_may_not(release, tmp_path):
    for number in range(MAX_LINKS - 2):
        os.link(release / "f", tmp_path / str(number))
    assert refusal(release, entry("f", b"content")) == ""
    os.link(release / "f", tmp_path / "last")
    assert "all the links" in refusal(release, entry("f", b"content"))


def test_a_release_without_a_file_list_is_no_source(tmp_path):
    with pytest.raises(FileNotFoundError):
        LinkSource.of(tmp_path)
