import base64
import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import BuildError
from efsprov.core.record import parse_record

INFO = "a-1.dist-info"
HASH = "sha256=" + base64.urlsafe_b64encode(b"x" * 32).rstrip(b"=").decode()
paths = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=9).filter(
    lambda part: "/" not in part and part not in {".", ".."} and "\x85" not in part
)


@given(st.dictionaries(paths, st.binary(), max_size=6), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_what_was_recorded_is_read(files, algorithm):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"{algorithm}={digest}", len(content)])
    entries = parse_record(out.getvalue(), dist_info=INFO, where="a.whl")
    assert {path: entry.digest for path, entry in entries.items()} == {
        path: hashlib.new(algorithm, content).hexdigest() for path, content in files.items()
    }


def test_record_and_its_signatures_need_no_hash():
    entries = parse_record(f"{INFO}/RECORD,,\n{INFO}/RECORD.jws,,\n", dist_info=INFO, where="a.whl")
    assert [entry.digest for entry in entries.values()] == ["", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"../a.py,{HASH},1", "not a path inside"),
        (f"/etc/passwd,{HASH},1", "not a path inside"),
        (f"a/../../b,{HASH},1", "not a path inside"),
        (f"a.py,{HASH},1\na.py,{HASH},1", "listed twice"),
        ("a.py,,", "no SHA-256"),
        ("a.py", "no SHA-256"),
        ("a.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0", "no SHA-256"),
        ("a.py,sha256=AAAA,0", "no SHA-256"),
        ("a.py,sha256=!,0", "no SHA-256|cannot be read"),
        ("other-1.dist-info/RECORD,,", "no SHA-256"),
    ],
)
def test_what_is_no_record_is_refused(text, says):
    with pytest.raises(BuildError, match=says) as caught:
        parse_record(text, dist_info=INFO, where="a.whl")
    assert "a.whl" in caught.value.message
