"""Stripping of real libraries, built here by the C compiler."""

import hashlib
import shutil
import struct
import subprocess
import sys

import pytest

from efsprov.pipeline.stage.strip import difference, has_debug_sections, strip_tree

SOURCE = "int answer(void) { return 42; }\nstatic int table[5000] = {1};\nint *get(void) { return table; }\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A library with debug sections."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "x.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g3", "-shared", "-fPIC", "-o", folder / "x.so", folder / "x.c"], check=True)
    return folder / "x.so"


@pytest.fixture
def site(tmp_path, built):
    (tmp_path / "site/pkg").mkdir(parents=True)
    shutil.copy(built, tmp_path / "site/pkg/x.so")
    (tmp_path / "site/pkg/x.py").write_text("pass\n")
    return tmp_path / "site"


def test_debug_sections_go_and_the_library_still_works(site):
    before = (site / "pkg/x.so").stat()
    stripped = strip_tree(site, ["pkg/x.so", "pkg/x.py"])
    path = site / "pkg/x.so"
    digest, size_before, size_after = stripped.changed["pkg/x.so"]
    assert (stripped.changed.keys(), stripped.remarks) == ({"pkg/x.so"}, ())
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (size_before, size_after) == (before.st_size, path.stat().st_size)
    assert size_after < size_before
    assert path.stat().st_mode == before.st_mode
    assert not has_debug_sections(path)
    code = f"import ctypes; assert ctypes.CDLL({str(path)!r}).answer() == 42"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sorted(p.name for p in (site / "pkg").iterdir()) == ["x.py", "x.so"]


def test_another_name_of_the_file_stays_as_it_was(site, tmp_path):
    cached = tmp_path / "cached.so"
    cached.hardlink_to(site / "pkg/x.so")
    content = cached.read_bytes()
    strip_tree(site, ["pkg/x.so"])
    assert cached.read_bytes() == content
    assert cached.stat().st_nlink == 1


def test_what_has_no_debug_sections_is_left_alone(site):
    strip_tree(site, ["pkg/x.so"])
    (site / "pkg/cut.so").write_bytes((site / "pkg/x.so").read_bytes()[:100])
    assert strip_tree(site, ["pkg/x.so", "pkg/x.py", "pkg/cut.so"]).changed == {}


def test_the_same_input_gives_the_same_bytes(site, built, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(built, tmp_path / "other/x.so")
    assert (
        strip_tree(site, ["pkg/x.so"]).changed["pkg/x.so"] == strip_tree(tmp_path / "other", ["x.so"]).changed["x.so"]
    )


def segment(content, number=0):
    """The offset of a program header of PT_LOAD, counted from 0."""
    start, size, count = (struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54))
    loads = [start + i * size for i in range(count) if struct.unpack_from("<I", content, start + i * size)[0] == 1]
    return loads[number]


def test_a_file_whose_loaded_bytes_differ_is_distinguished_from_the_original(built, tmp_path):
    content = bytearray(built.read_bytes())
    offset, _, _, filesz = struct.unpack_from("<4Q", content, segment(content, 1) + 8)
    content[offset + filesz // 2] ^= 1
    (tmp_path / "changed.so").write_bytes(content)
    assert difference(built, built) == ""
    assert difference(built, tmp_path / "changed.so") == "what is loaded of it would change"


def test_a_segment_that_moved_is_noticed(built, tmp_path):
    content = bytearray(built.read_bytes())
    at = segment(content, 1) + 8
    struct.pack_into("<Q", content, at, struct.unpack_from("<Q", content, at)[0] + 16)
    (tmp_path / "moved.so").write_bytes(content)
    assert difference(built, tmp_path / "moved.so") == "its segments would move"


def test_a_segment_that_is_not_aligned_is_noticed(built, tmp_path):
    content = bytearray(built.read_bytes())
    at = segment(content, 1) + 16
    struct.pack_into("<Q", content, at, struct.unpack_from("<Q", content, at)[0] + 16)
    (tmp_path / "odd.so").write_bytes(content)
    shutil.copy(tmp_path / "odd.so", tmp_path / "odd2.so")
    assert difference(tmp_path / "odd.so", tmp_path / "odd2.so") == "a segment is not aligned"


def test_a_tool_that_breaks_a_library_leaves_it_as_it_was(site, tmp_path):
    """A `strip` that shifts everything by 16 bytes, first on PATH, as binutils did with libraries of moved sections."""
    tool = tmp_path / "bin/strip"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport struct, sys\nfrom pathlib import Path\n"
        "target, source = sys.argv[-2:]\ncontent = bytearray(Path(source).read_bytes())\n"
        "start, = struct.unpack_from('<Q', content, 32)\n"
        "offset, = struct.unpack_from('<Q', content, start + 8)\n"
        "struct.pack_into('<Q', content, start + 8, offset + 16)\nPath(target).write_bytes(content)\n"
    )
    tool.chmod(0o755)
    code = (
        "import sys\nfrom pathlib import Path\nfrom efsprov.pipeline.stage.strip import strip_tree\n"
        "done = strip_tree(Path(sys.argv[1]), ['pkg/x.so'])\n"
        "assert done.changed == {}, done\nprint(*done.remarks)\n"
    )
    before = (site / "pkg/x.so").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", code, site],
        env={"PATH": str(tool.parent), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "pkg/x.so keeps its debug sections: its segments would move.\n"
    assert (site / "pkg/x.so").read_bytes() == before
    assert sorted(p.name for p in (site / "pkg").iterdir()) == ["x.py", "x.so"]


def test_a_builder_without_a_tool_is_reported_what_to_do(tmp_path):
    code = (
        "from efsprov.core.errors import BuildError\nfrom efsprov.pipeline.stage.strip import find_tool\n"
        "try:\n    find_tool()\nexcept BuildError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "none of strip, llvm-strip, eu-strip" in done.stdout
    assert "Install binutils" in done.stdout
