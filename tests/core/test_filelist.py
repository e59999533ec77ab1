import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.core import filelist
from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry

SHA = "a" * 64
# What a file system may give as a name: any bytes but '/' and NUL, decoded as os.fsdecode does.
names = (
    st.binary(min_size=1, max_size=8)
    .map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda b: b not in {b".", b".."})
)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: b"/".join(parts).decode("utf-8", "surrogateescape"))
entries = st.lists(
    st.builds(
        FileEntry,
        path=paths,
        size=st.integers(0, 1 << 60),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        mode=st.integers(0, 0o7777),
    )
)


@settings(deadline=None)
@given(entries)
def test_reads_back_what_was_written_whatever_the_names_are(files):
    text = filelist.dump(files)
    stored = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")  # as in a file
    assert filelist.parse(stored, where="here") == tuple(sorted(files))
    assert filelist.digest(stored) == filelist.digest(text)


def test_is_one_readable_line_a_file():
    text = filelist.dump([FileEntry("site/b c.py", 7, SHA, 0o755), FileEntry("site/a%\n.py", 0, SHA)])
    assert text == f"{SHA} 644 0 site/a%25%0A.py\n{SHA} 755 7 site/b c.py\n"


def test_of_nothing_is_empty():
    assert filelist.dump([]) == ""
    assert filelist.parse("", where="here") == ()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not a line",
        f"{SHA} 644 1",
        f"{SHA} 644 1 ",
        f"{SHA[:-1]} 644 1 a",
        f"{SHA} 999 1 a",
        f"{SHA} 644 -1 a",
        f"{SHA} 644 1 /etc/passwd",
        f"{SHA} 644 1 ../a",
        f"{SHA} 644 1 a/./b",
        f"{SHA} 644 1 a//b",
        f"{SHA} 644 1 %2e%2e/a",
        f"{SHA} 644 1 a%00b",
    ],
)
def test_refuses_what_is_no_entry_and_says_where(line):
    text = f"{SHA} 644 1 good\n{line}\n"
    with pytest.raises(IntegrityError, match=r"releases/x/files\.list, line 2"):
        filelist.parse(text, where="releases/x/files.list")


def test_refuses_a_last_line_that_was_cut_off():
    with pytest.raises(IntegrityError, match="line 2"):
        filelist.parse(f"{SHA} 644 1 good\n{SHA[:10]}", where="here")
