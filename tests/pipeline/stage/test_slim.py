import hashlib
import importlib.metadata
import os
import subprocess
import sys
from base64 import urlsafe_b64encode

import pytest

from efsprov.core import filelist
from efsprov.core.record import parse_record
from efsprov.core.slim import Saving
from efsprov.pipeline.stage.slim import left_out_list, slim_site

FILES = {
    "pkg/__init__.py": b"VALUE = 1\n",
    "pkg/__init__.pyi": b"VALUE: int\n",
    "pkg/include/pkg.h": b"int value;\n",
    "pkg/lib/libpkg.a": b"!<arch>\n",
    "pkg/tests/__init__.py": b"",
    "pkg/tests/test_pkg.py": b"def test(): pass\n",
    "pkg-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n",
}


def row(path, content):
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"


@pytest.fixture
def site(tmp_path):
    contents = dict(FILES)
    contents["pkg-1.0.dist-info/RECORD"] = "".join(
        [*(row(path, content) for path, content in FILES.items()), "pkg-1.0.dist-info/RECORD,,\n"]
    ).encode()
    for path, content in contents.items():
        file = tmp_path / "site" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o644)
    return tmp_path / "site"


def hashes(site):
    return {
        str(path.relative_to(site)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in site.rglob("*")
        if path.is_file()
    }


def test_nothing_is_left_out_unless_asked(site):
    before = hashes(site)
    slimmed = slim_site(site, (), hashes=before)
    assert (slimmed.hashes, slimmed.saved, slimmed.left_out, hashes(site)) == (before, {}, (), before)


def test_what_is_left_out_is_reported_and_gone(site):
    before = hashes(site)
    slimmed = slim_site(site, ("headers", "static", "tests", "stubs"), hashes=before)
    assert slimmed.saved == {
        "headers": Saving(1, len(FILES["pkg/include/pkg.h"])),
        "static": Saving(1, len(FILES["pkg/lib/libpkg.a"])),
        "stubs": Saving(1, len(FILES["pkg/__init__.pyi"])),
        "tests": Saving(2, len(FILES["pkg/tests/test_pkg.py"])),
    }
    assert slimmed.hashes == hashes(site)
    gone = before.keys() - slimmed.hashes.keys()
    assert gone == {
        "pkg/__init__.pyi",
        "pkg/include/pkg.h",
        "pkg/lib/libpkg.a",
        "pkg/tests/__init__.py",
        "pkg/tests/test_pkg.py",
    }
    listed = filelist.parse(left_out_list(slimmed.left_out, below="site"), where="left-out.list")
    assert {(entry.path, entry.sha256) for entry in listed} == {(f"site/{path}", before[path]) for path in gone}


@pytest.mark.parametrize("rules", [("tests",), ("headers", "stubs"), ("headers", "static", "tests", "stubs", "debug")])
def test_records_and_metadata_stay_right(site, rules):
    slim_site(site, rules, hashes=hashes(site))
    left = hashes(site)
    record = parse_record(
        (site / "pkg-1.0.dist-info/RECORD").read_text(), dist_info="pkg-1.0.dist-info", where="RECORD"
    )
    assert record.keys() == left.keys()
    for path, entry in record.items():
        assert entry.digest in {"", left[path]}
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert {str(file) for file in found.files} == left.keys()
    assert all(file.locate().exists() for file in found.files)


def test_what_the_site_shares_with_an_installers_cache_is_not_touched(site, tmp_path):
    """uv installs by hard links from its cache."""
    for path in [path for path in site.rglob("*") if path.is_file()]:
        cached = tmp_path / "cache" / path.relative_to(site)
        cached.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, cached)
    before = hashes(tmp_path / "cache")
    slim_site(site, ("headers", "tests"), hashes=hashes(site))
    assert hashes(tmp_path / "cache") == before


def test_stripped_libraries_are_in_the_record(site):
    (site / "x.c").write_text("int x(void) { return 1; }\n")
    subprocess.run(["gcc", "-g", "-shared", "-o", site / "pkg/x.so", site / "x.c"], check=True)
    (site / "x.c").unlink()
    record = site / "pkg-1.0.dist-info/RECORD"
    record.write_text(row("pkg/x.so", (site / "pkg/x.so").read_bytes()) + record.read_text())
    size = (site / "pkg/x.so").stat().st_size
    slimmed = slim_site(site, ("debug",), hashes=hashes(site))
    assert slimmed.hashes == hashes(site)
    assert slimmed.saved == {"debug": Saving(1, size - (site / "pkg/x.so").stat().st_size)}
    entries = parse_record(record.read_text(), dist_info="pkg-1.0.dist-info", where="RECORD")
    assert entries["pkg/x.so"].digest == slimmed.hashes["pkg/x.so"]
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert next(file for file in found.files if file.name == "x.so").size == (site / "pkg/x.so").stat().st_size
    subprocess.run([sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(site / 'pkg/x.so')!r}).x()"], check=True)
