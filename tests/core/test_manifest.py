import json
from datetime import UTC, datetime

import pytest

from efsprov.core.errors import IntegrityError
from efsprov.core.manifest import Builder, Distribution, Manifest, parse

MANIFEST = Manifest(
    id="20261121T063000Z-3f2a9c1b",
    tx="0123456789abcdef",
    channel="tensorflow",
    target="python3.11-x86_64",
    created=datetime(2026, 11, 21, 6, 30, tzinfo=UTC),
    requirements=("tensorflow==2.15",),
    lock_digest="3f" * 32,
    files_sha256="aa" * 32,
    distributions=(Distribution(name="numpy", version="1.26.4", wheel="numpy-1.26.4-x.whl", sha256="bb" * 32),),
    builder=Builder(kind="local", host="here", python="3.11.7", efsprov="0.1.0"),
    notes=("smörgåsbord",),
)


def test_reads_back_what_was_written():
    assert parse(MANIFEST.dump(), where="release.json") == MANIFEST
    assert MANIFEST.dump().endswith(b"}\n")


def test_ignores_what_a_later_version_adds():
    text = json.dumps({**json.loads(MANIFEST.dump()), "colour": "blue"}).encode()
    assert parse(text, where="release.json") == MANIFEST


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"id": None}, {"created": "2026-11-21T06:30:00"}, {"builder": "me"}, {"lock_digest": 7}],
)
def test_refuses_what_does_not_fit_and_says_where(change):
    text = json.dumps({**json.loads(MANIFEST.dump()), **change}).encode()
    with pytest.raises(IntegrityError, match=f"R/release.json is not a manifest: {next(iter(change))}"):
        parse(text, where="R/release.json")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", MANIFEST.dump()[:-20], b"[" * 5000])
def test_refuses_what_is_no_json(text):
    with pytest.raises(IntegrityError, match=r"R/release\.json is not a manifest"):
        parse(text, where="R/release.json")
