"""An import by the index is compared again as soon as anything that it depends on is another."""

import dataclasses
from pathlib import Path

import pytest

from efsprov.pipeline.imports.proven import ProvenImport
from efsprov.pipeline.imports.smoke import SmokeResult
from efsprov.pipeline.tools.interpreter import own_interpreter

HASHES = {"pack/__init__.py": "a" * 64, "pack/lib.so": "b" * 64}
PLAIN = SmokeResult(
    imports=("pack",), modules=("pack",), order=("pack/__init__.py", "pack/lib.so"), loaded=("pack/lib.so",), starts=(0,),
    quoted=(), libraries={"pack/lib.so": ((0, 4096),)}, seconds=1.0, cpu_seconds=1.0, max_rss=1 << 20, box="namespaces",
)  # fmt: skip


def proven(folder, *, hashes=HASHES, python=None, **changes):
    return ProvenImport(folder, hashes, python or own_interpreter(), dataclasses.replace(PLAIN, **changes))


def test_nothing_is_known_before_it_was_compared(tmp_path):
    assert not proven(tmp_path / "proven").is_known


def test_the_same_again_is_known_whatever_time_it_took(tmp_path):
    proven(tmp_path).remember()
    assert proven(tmp_path, seconds=9.0, cpu_seconds=9.0, max_rss=2 << 20).is_known


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": HASHES | {"pack/__init__.py": "c" * 64}},
        {"hashes": HASHES | {"pack/more.py": "c" * 64}},
        {"imports": ("pack", "other")},
        {"modules": ("pack", "pack.lib")},
        {"order": ("pack/lib.so", "pack/__init__.py")},
        {"loaded": ()},
        {"quoted": ("pack/__init__.py",)},
        {"libraries": {"pack/lib.so": ((0, 8192),)}},
        {"box": "process"},
        {"python": dataclasses.replace(own_interpreter(), full="3.11.99")},
        {"python": dataclasses.replace(own_interpreter(), path=Path("/usr/bin/another"))},
    ],
    ids=str,
)
def test_anything_else_is_compared(tmp_path, changes):
    proven(tmp_path).remember()
    assert not proven(tmp_path, **changes).is_known


def test_no_room_for_the_note_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    note = proven(tmp_path / "file" / "below")
    note.remember()
    assert not note.is_known
