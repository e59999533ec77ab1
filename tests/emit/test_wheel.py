"""A pure wheel: what installers read of it is right, and the same contents give the same bytes."""

import base64
import csv
import hashlib
import io
import zipfile

import pytest
from packaging.utils import parse_wheel_filename

from efsprov.emit.wheel import pack_wheel, wheel_name

CONTENTS = {"a/__init__.py": b"VALUE = 1\n", "a/data.txt": b""}


@pytest.mark.parametrize("compressed", [True, False])
def test_record_has_every_file_with_its_hash_and_size(compressed):
    made = pack_wheel("my-thing", "1.2", CONTENTS, metadata=b"Name: my-thing\n", compressed=compressed)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    rows = {row[0]: row[1:] for row in csv.reader(inside["my_thing-1.2.dist-info/RECORD"].decode().splitlines())}
    assert rows.keys() == inside.keys()
    assert rows.pop("my_thing-1.2.dist-info/RECORD") == ["", ""]
    for name, (digest, size) in rows.items():
        wanted = base64.urlsafe_b64encode(hashlib.sha256(inside[name]).digest()).rstrip(b"=").decode()
        assert (digest, int(size)) == (f"sha256={wanted}", len(inside[name]))
    assert inside["my_thing-1.2.dist-info/METADATA"] == b"Name: my-thing\n"
    assert b"Root-Is-Purelib: true" in inside["my_thing-1.2.dist-info/WHEEL"]


def test_the_same_contents_give_the_same_bytes():
    backwards = dict(reversed(CONTENTS.items()))
    assert pack_wheel("a", "1", CONTENTS, metadata=b"") == pack_wheel("a", "1", backwards, metadata=b"")


def test_the_name_is_one_that_installers_take():
    name, version, _, tags = parse_wheel_filename(wheel_name("my-thing", "1.2"))
    assert (name, str(version), {str(tag) for tag in tags}) == ("my-thing", "1.2", {"py3-none-any"})
