"""Packs: what is added can be read back, and another build cuts where the last one did."""

import hashlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.imports.test_import_index import SCRIPT, load

packing = load(SCRIPT.with_name("packs.py"))
HEAD = b"HEAD"


def checksum(data):
    return hashlib.sha256(data).digest()[:8]


def write(folder, pieces, least=1000, most=20_000):
    """Write PIECES, {name: data}, into small packs; returns {name: where} and the packs' bytes in order."""
    packing.LEAST, packing.MOST = least, most
    packs = packing.Packs(str(folder), HEAD, checksum)
    where = {}
    for name, data in pieces.items():
        packs.begin(name)
        where[name] = packs.add(data)
    digests = packs.close()
    files = [(Path(folder) / packing.name_of(digest)).read_bytes() for digest in digests]
    assert [hashlib.sha256(data).hexdigest() for data in files] == digests
    assert [len(data) for data in files] == packs.sizes
    return where, files


pieces = st.dictionaries(st.text("abcd/", min_size=1, max_size=8), st.binary(max_size=900), max_size=80)


@settings(deadline=None)
@given(pieces)
def test_what_is_added_lies_where_it_was_reported(added):
    with tempfile.TemporaryDirectory() as folder:
        where, files = write(f"{folder}/packs", added)
        for name, (pack, offset, size, digest) in where.items():
            data = files[pack][offset : offset + size]
            assert data == added[name]
            assert checksum(data) == digest
        assert all(data.startswith(HEAD) for data in files)
        assert all(len(data) < 20_000 + 900 for data in files)
        assert not list(Path(folder).rglob("*.part"))


def test_without_anything_there_is_no_pack(tmp_path):
    assert write(tmp_path / "packs", {}) == ({}, [])
    assert not (tmp_path / "packs").exists()


def test_equal_packs_are_one_file(tmp_path):
    packs = packing.Packs(str(tmp_path / "packs"), HEAD, checksum)
    for _ in range(2):
        packs.add(b"same")
        packs.cut()
    first, second = packs.close()
    assert first == second
    assert len(list((tmp_path / "packs").iterdir())) == 1


def test_a_module_that_changes_changes_its_pack_alone(tmp_path):
    added = {f"package/module{number}.py": bytes([number % 251]) * (100 + number % 77) for number in range(3000)}
    _, before = write(tmp_path / "before", added)
    assert len(before) > 30
    for number, change in (0, b""), (1500, b"longer" * 50), (2999, b"x"):
        changed = added | {f"package/module{number}.py": change}
        _, after = write(tmp_path / f"after{number}", changed)
        assert len(set(after) - set(before)) <= 2, number


def test_a_module_that_is_new_or_gone_changes_few_packs(tmp_path):
    added = {f"package/module{number}.py": bytes([number % 251]) * (100 + number % 77) for number in range(3000)}
    _, before = write(tmp_path / "before", added)
    names = list(added)
    gone = {name: added[name] for name in names if name != names[1000]}
    new = {name: added[name] for name in names[:2000]} | {"package/new.py": b"new"} | added
    for title, other in ("gone", gone), ("new", new):
        _, after = write(tmp_path / title, other)
        assert len(set(after) - set(before)) <= 2, title
