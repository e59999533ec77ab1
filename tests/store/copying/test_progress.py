import pytest

from efsprov.core.filelist import FileEntry
from efsprov.store.copying.progress import Tally
from tests.store.copy_trees import entry


def test_time_left_counts_files_as_well_as_bytes():
    tally = Tally(files_total=100, bytes_total=0, kept_files=0, kept_bytes=0)
    for _ in range(25):
        tally.finished(entry("f", b""))
    progress = tally.progress(10.0)
    assert (progress.fraction, progress.seconds_left) == (0.25, pytest.approx(30.0))


def test_what_was_kept_says_nothing_about_the_speed():
    tally = Tally(files_total=100, bytes_total=0, kept_files=80, kept_bytes=0)
    assert tally.progress(1.0).seconds_left is None
    for _ in range(10):
        tally.finished(entry("f", b""))
    assert tally.progress(5.0).seconds_left == pytest.approx(5.0)
    assert tally.progress(5.0).files_done == 90


def test_the_rate_is_of_bytes_written():
    tally = Tally(files_total=3, bytes_total=1000, kept_files=1, kept_bytes=500)
    tally.linked(entry("l", b"x" * 100))
    tally.wrote(300)
    progress = tally.progress(2.0)
    assert (progress.rate, progress.bytes_done, progress.linked_bytes) == (150.0, 900, 100)


def test_says_what_is_done_linked_and_kept():
    tally = Tally(files_total=4, bytes_total=9_000_000, kept_files=1, kept_bytes=2_000_000)
    assert str(tally.progress(1.0)) == "1 of 4 files, 1 kept (2 MB)"
    tally.linked(FileEntry("l", 3_000_000, "0" * 64))
    tally.wrote(4_000_000)
    assert str(tally.progress(2.0)) == "2 of 4 files, 1 linked (3 MB), 1 kept (2 MB)"


def test_nothing_to_do_is_done():
    assert Tally(files_total=0, bytes_total=0, kept_files=0, kept_bytes=0).progress(0.0).fraction == 1.0


def test_finished_files_are_reported_once():
    tally = Tally(files_total=2, bytes_total=2, kept_files=0, kept_bytes=0)
    tally.finished(entry("a", b"1"))
    tally.linked(entry("b", b"1"))
    assert tally.take_finished() == [entry("a", b"1"), entry("b", b"1")]
    assert tally.take_finished() == []
