import io
import stat
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import UsageError
from efsprov.emit.archive import Member, pack, refuse_too_large, unzipped_size

names = st.text("abcXYZ_.0", min_size=1, max_size=8).filter(lambda name: name.strip("."))
members = st.dictionaries(names, st.builds(Member, st.binary(max_size=64), st.booleans()), max_size=6)


@given(members, st.randoms(), st.booleans())
def test_the_same_files_give_the_same_bytes_in_any_order(files, random, compressed):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert pack(dict(shuffled), compressed=compressed) == pack(files, compressed=compressed)


@given(members)
def test_what_was_packed_comes_out(files):
    with zipfile.ZipFile(io.BytesIO(pack(files))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {n: m.content for n, m in files.items()}
        for info in archive.infolist():
            mode = info.external_attr >> 16
            assert stat.S_ISREG(mode)
            assert stat.S_IMODE(mode) == (0o755 if files[info.filename].executable else 0o644)


def test_too_large_is_refused_with_the_sizes_of_the_largest_parts():
    files = {"uv/bin": Member(b"x" * 70), "botocore/a": Member(b"x" * 20), "botocore/b": Member(b"x" * 20)}
    assert unzipped_size(files) == 110
    refuse_too_large(files, what="The package", limit=110)
    with pytest.raises(UsageError) as raised:
        refuse_too_large(files, what="The package", limit=100)
    assert "110 bytes" in raised.value.message
    assert "10 too many" in raised.value.message
    assert "uv 70, botocore 40" in raised.value.message
