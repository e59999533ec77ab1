"""Texts that people, packages and other machines write: any of them is read, or refused in one clear message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.cli.config import load_config
from efsprov.core import filelist, manifest
from efsprov.core.history import fold, parse_entry
from efsprov.core.lock import parse_lock
from efsprov.core.record import parse_record
from efsprov.core.site_names import judge_site_names
from efsprov.pipeline.resolve.requirement_files import read_requirements
from tests.core.test_lock import UV
from tests.core.test_manifest import MANIFEST
from tests.fuzz.mutation import damaged, edits, fuzzed

REQUIREMENTS = b"""-i https://u:${TOKEN}@host/simple
--extra-index-url=https://host -r other.txt
-c c.txt
six==1.16.0 \\
  --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254 # comment
numpy>=1,<3 ; python_version > "3.8"
name @ https://host/name-1.0-py3-none-any.whl#sha256=00
./x-1.0-py3-none-any.whl
"""
SETTINGS = b"""root = "./efs"
runtime = "auto"
[channels.tensorflow]
framework = "tensorflow==2.15"
requirements = ["pillow"]
[installer]
index = "https://host/simple"
[prune]
keep_last = 5
[ssh]
host = "me@host:22"
[ec2]
minutes = 60
tags = {team = "ml"}
"""
RECORD = b"a/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\na-1.dist-info/RECORD,,\n"
ENTRY = b'{"tx": "0123456789abcdef", "do": "activate", "release": "20261121T063000Z-3f2a9c1b", "at": "2026-11-21T06:30:00Z", "by": "me", "note": ""}'
FILES = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 644 0 site/a%20b.py\n"


@fuzzed
@given(changes=edits())
def test_requirement_files(budget, tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp() / "fuzz-requirements"
    folder.mkdir(exist_ok=True)
    (folder / "other.txt").write_bytes(b"idna\n")
    (folder / "c.txt").write_bytes(b"idna<4\n")
    (folder / "r.txt").write_bytes(damaged(REQUIREMENTS, changes))
    with budget.input():
        read_requirements([], [folder / "r.txt"], environ={"TOKEN": "secret"})


@fuzzed
@given(changes=edits())
def test_settings_files(budget, tmp_path_factory, changes):
    file = tmp_path_factory.getbasetemp() / "fuzz.toml"
    file.write_bytes(damaged(SETTINGS, changes))
    with budget.input():
        load_config(file)


@pytest.mark.parametrize(
    ("sound", "read"),
    [
        (MANIFEST.dump(), lambda content: manifest.parse(content, where="release.json")),
        (UV.encode(), lambda content: parse_lock(content.decode("utf-8", "replace"))),
        (RECORD, lambda content: parse_record(content.decode("utf-8", "replace"), dist_info="a-1.dist-info", where="a.whl")),
        (FILES, lambda content: filelist.parse(content.decode("utf-8", "surrogateescape"), where="files.list")),
        (ENTRY, lambda content: fold([parse_entry(1, content.decode("utf-8", "surrogateescape"), where="journal/1")])),
    ],
    ids=["manifest", "lock", "RECORD", "file list", "journal entry"],
)  # fmt: skip
@fuzzed
@given(changes=edits())
def test_documents(budget, sound, read, changes):
    with budget.input():
        read(damaged(sound, changes))


@fuzzed
@given(paths=st.lists(st.text(max_size=40), max_size=20))
def test_names_in_a_site(budget, paths):
    with budget.input():
        judge_site_names(paths, "3.11")
