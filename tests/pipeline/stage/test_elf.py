import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from efsprov.pipeline.stage.elf import DamagedError, ElfNeeds, read_elf
from tests.pipeline.forge import AARCH64, CUDA, I386, elf

LIBRARIES = sorted({*Path(sysconfig.get_paths()["platlib"]).rglob("*.so"), *Path(sys.base_prefix).glob("lib/*.so*")})


def written(folder, content):
    file = folder / "lib.so"
    file.write_bytes(content)
    return file


def by_pyelftools(path):
    """The newest GLIBC version need, by the sections, as pyelftools reads them."""
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".gnu.version_r")
        names = [v.name for _, versions in section.iter_versions() for v in versions] if section else []
    numbers = [tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in names if name.startswith("GLIBC_2")]
    return max((number[:2] for number in numbers), default=None)


@pytest.mark.parametrize("path", LIBRARIES[:60], ids=lambda p: p.name)
def test_real_libraries_need_what_pyelftools_reads(path):
    needs = read_elf(path)
    assert needs.glibc == by_pyelftools(path)
    if needs.glibc:
        assert needs.symbol_version.startswith(f"GLIBC_{needs.glibc[0]}.{needs.glibc[1]}")


@pytest.mark.parametrize("path", LIBRARIES[:60], ids=lambda p: p.name)
def test_real_libraries_name_what_pyelftools_reads(path):
    with path.open("rb") as file:
        tags = list(ELFFile(file).get_section_by_name(".dynamic").iter_tags())
        needed = tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED")
        sonames = [tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"]
    read = read_elf(path)
    assert (read.needed, read.soname) == (needed, sonames[0] if sonames else "")


def test_there_are_real_libraries_to_read():
    assert len(LIBRARIES) > 5


def test_the_newest_need_and_the_library_that_must_have_it(tmp_path):
    content = elf(
        [
            ("libm.so.6", ["GLIBC_2.29"]),
            ("libc.so.6", ["GLIBC_2.4", "GLIBC_2.17", "GLIBC_2.2.5"]),
            ("libz.so.1", ["ZLIB_9"]),
        ]
    )
    assert read_elf(written(tmp_path, content)) == ElfNeeds("x86_64", (2, 29), "GLIBC_2.29", "libm.so.6")
    with (tmp_path / "lib.so").open("rb") as file:  # the test's own writer is held against pyelftools, too
        segment = next(s for s in ELFFile(file).iter_segments() if isinstance(s, DynamicSegment))
        assert segment.get_table_offset("DT_VERNEED")[1] is not None


def test_relative_relocations_need_a_loader_that_knows_them(tmp_path):
    content = elf([("libc.so.6", ["GLIBC_2.17", "GLIBC_ABI_DT_RELR"])])
    assert read_elf(written(tmp_path, content)).glibc == (2, 36)


def test_a_library_without_needs(tmp_path):
    assert read_elf(written(tmp_path, elf())) == ElfNeeds("x86_64")


def test_machines(tmp_path):
    assert read_elf(written(tmp_path, elf(machine=AARCH64))).machine == "aarch64"
    assert read_elf(written(tmp_path, elf(machine=I386))).machine == "i686"


@pytest.mark.parametrize("content", [elf(kind=1), elf(machine=CUDA), b"", b"\x7fEL", b"#!/bin/sh\n", b"MZ" * 40])
def test_what_no_loader_loads(tmp_path, content):
    assert read_elf(written(tmp_path, content)) is None


NEEDY = elf([("libc.so.6", ["GLIBC_2.17"])])


@given(st.integers(4, len(NEEDY) - 1))
def test_a_file_that_is_cut_off_is_read_or_called_damaged(tmp_path_factory, length):
    file = tmp_path_factory.getbasetemp() / f"cut-{length}.so"
    file.write_bytes(NEEDY[:length])
    with suppress(DamagedError):
        assert isinstance(read_elf(file), ElfNeeds | None)


@given(st.lists(st.tuples(st.integers(4, len(NEEDY) - 1), st.integers(0, 255)), max_size=8))
def test_any_bytes_are_read_or_called_damaged(tmp_path_factory, changes):
    content = bytearray(NEEDY)
    for at, value in changes:
        content[at] = value
    file = tmp_path_factory.getbasetemp() / "changed.so"
    file.write_bytes(content)
    with suppress(DamagedError):
        assert isinstance(read_elf(file), ElfNeeds | None)
