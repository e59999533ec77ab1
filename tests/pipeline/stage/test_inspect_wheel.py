import io
import zipfile

import pytest

from efsprov.core.errors import BuildError
from efsprov.pipeline.stage.inspect_wheel import Limits, inspect
from tests.pipeline.forge import locked, rewrite, with_extra, with_record
from tests.wheelhouse import build_wheel


def look(wheel, **limits):
    return inspect(wheel, locked(wheel), Limits(**limits))


def refused(wheel, says, **limits):
    with pytest.raises(BuildError, match=says) as caught:
        look(wheel, **limits)
    assert wheel.name in caught.value.message


def replaced(wheel, old, new):
    content = wheel.read_bytes()
    assert old in content
    wheel.write_bytes(content.replace(old, new))
    return wheel


def test_an_honest_wheel(tmp_path):
    files = {
        "tiny/__init__.py": "x = 1\n",
        "tiny-1.0.data/purelib/tiny/pure.py": "",
        "tiny-1.0.data/platlib/tiny/native.so": b"\x7fELF",
        "tiny-1.0.data/data/share/tiny.cfg": "",
        "tiny-1.0.data/scripts/tiny-run": "#!python\n",
        "tiny-1.0.data/headers/tiny.h": "",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n# no = x\n[other]\nno = a:b\n[gui_scripts]\ntiny-gui=tiny:g\n",
    }
    wheel = look(
        build_wheel(tmp_path, "tiny", "1.0", files, requires=["Six>=1", "numpy ; extra == 'fast'", "Foo.Bar[x]"])
    )
    assert set(wheel.files) == {
        *("tiny/__init__.py", "tiny/pure.py", "tiny/native.so", "share/tiny.cfg"),
        *(f"tiny-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
    }
    assert wheel.scripts == {"bin/tiny-run", "bin/tiny", "bin/tiny-gui"}
    assert wheel.headers == {"tiny.h"}
    assert wheel.requires == ("six", "foo-bar")
    assert (wheel.name, wheel.version, wheel.dist_info) == ("tiny", "1.0", "tiny-1.0.dist-info")


@pytest.mark.parametrize(
    "path", ["../evil.py", "/evil.py", "tiny/../../evil.py", "tiny//evil.py", "./evil.py", "a\\..\\evil.py", "tiny/"]
)
def test_members_that_leave_the_wheel(tmp_path, path):
    refused(
        with_extra(tmp_path, (path + "x" if path.endswith("/") else path, b"")),
        "is not a path inside it|not in its RECORD",
    )


def test_a_member_without_a_name(tmp_path):
    wheel = with_extra(tmp_path, ("N.py", b""))
    refused(replaced(wheel, b"N.py", b"\0.py"), "is not a path inside it")


def test_a_member_with_a_nul_in_its_name(tmp_path):
    refused(replaced(with_extra(tmp_path, ("tiny/evil_.py", b"")), b"evil_.py", b"evil\0.py"), "not a path inside it")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice(tmp_path):
    refused(with_extra(tmp_path, ("tiny/__init__.py", b"evil")), "is in it twice")


def test_a_member_and_the_same_path_under_data(tmp_path):
    files = {"tiny/__init__.py": "", "tiny-1.0.data/purelib/tiny/__init__.py": "evil"}
    refused(build_wheel(tmp_path, "tiny", "1.0", files), "is in it twice")


@pytest.mark.parametrize("mode", [0o120777, 0o020644, 0o010644])
def test_links_and_devices(tmp_path, mode):
    link = zipfile.ZipInfo("tiny/link")
    link.external_attr = mode << 16
    refused(with_extra(tmp_path, (link, b"/etc/passwd")), "is a link, a device or encrypted")


def test_unlisted_members_and_ghosts(tmp_path):
    refused(with_extra(tmp_path, ("tiny/unlisted.py", b"")), r"tiny/unlisted\.py is in it, but not in its RECORD")
    ghost = f"tiny/ghost.py,sha256={'A' * 43},0"
    refused(with_record(tmp_path, lambda lines: [*lines, ghost]), r"lists tiny/ghost\.py, which is not in it")


def test_a_record_without_hashes(tmp_path):
    refused(with_record(tmp_path, lambda lines: [lines[0].split(",")[0] + ",,", *lines[1:]]), "no SHA-256")


def test_a_script_with_another_hash(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny-1.0.data/scripts/run": "#!python\nprint(1)\n"})

    def change(members):
        return [(m, b"#!python\nprint(2)\n" if m.endswith("/run") else content) for m, content in members]

    refused(rewrite(wheel, change), "scripts/run has another hash")


@pytest.mark.parametrize(
    ("scheme", "says"),
    [("platinclude/x.h", "nobody knows where"), ("purelib", "nobody knows where"), ("../x", "not a path")],
)
def test_unknown_places(tmp_path, scheme, says):
    refused(build_wheel(tmp_path, "tiny", "1.0", {f"tiny-1.0.data/{scheme}": ""}), says)


def test_another_name_or_version_than_the_locks(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    package = locked(wheel)
    other = wheel.rename(tmp_path / "other-1.0-py3-none-any.whl")
    refused(other, "of another name or version")

    def change(members):
        return [(m, content.replace(b"Name: tiny", b"Name: evil")) for m, content in members]

    lying = rewrite(build_wheel(tmp_path, "tiny", "1.0"), change)
    with pytest.raises(BuildError, match=r"it holds evil 1\.0, the lock says tiny 1\.0"):
        inspect(lying, package)


def test_no_dist_info_or_two(tmp_path):
    refused(with_extra(tmp_path, ("evil-1.0.dist-info/METADATA", b"")), "has 2 .dist-info folders")
    bare = tmp_path / "bare-1.0-py3-none-any.whl"
    with zipfile.ZipFile(bare, "w") as archive:
        archive.writestr("bare.py", "")
    refused(bare, "has 0 .dist-info folders")


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_missing_metadata(tmp_path, name):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    refused(rewrite(wheel, lambda ms: [(m, c) for m, c in ms if not m.endswith(f"/{name}")]), f"{name} is not in it")


def test_data_around_the_zip(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    content = wheel.read_bytes()
    wheel.write_bytes(content + b"trailing")
    refused(wheel, "something follows its end")
    wheel.write_bytes(b"#!/bin/sh\n" + content)
    refused(wheel, "something before")
    wheel.write_bytes(content + content)
    refused(wheel, "something before")


def test_a_comment_is_no_trailing_data(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = b"built by somebody"
    assert look(wheel).name == "tiny"


def test_a_local_header_with_another_name(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny/aaaa.py": "x", "tiny/bbbb.py": "y"})
    content = wheel.read_bytes()
    at = content.index(b"tiny/aaaa.py")  # the first is the local header's
    wheel.write_bytes(content[:at] + b"tiny/evil.py" + content[at + 12 :])
    refused(wheel, "where its bytes are|differ")


def test_members_that_share_their_bytes(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny/a.py": "x" * 99, "tiny/b.py": "x" * 99})
    with zipfile.ZipFile(wheel) as archive:
        first, second = archive.infolist()[:2]
    content = bytearray(wheel.read_bytes())
    entry = content.rindex(b"tiny/b.py") - 46  # in the central directory; its offset is 42 bytes from its start
    assert int.from_bytes(content[entry + 42 : entry + 46], "little") == second.header_offset
    content[entry + 42 : entry + 46] = first.header_offset.to_bytes(4, "little")
    wheel.write_bytes(content)
    refused(wheel, "lies on another member's bytes|where its bytes are")


def test_bombs(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny/zeros.bin": b"\0" * 2_000_000})
    assert look(wheel).size > 2_000_000
    refused(wheel, r"unpacks to 0\.0 GB, more than", unpacked=1_000_000)
    refused(wheel, "members, more than 2", members=2)


def test_a_wheel_of_more_than_a_gigabyte_may_only_grow_so_much(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    big = 5 << 30
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        member = archive.infolist()[0]
    entry = content.rindex(member.filename.encode()) - 46
    assert content[entry : entry + 4] == b"PK\1\2"
    lying = bytearray(content)
    lying[entry + 24 : entry + 28] = (4_000_000_000).to_bytes(4, "little")
    wheel.write_bytes(lying)
    refused(wheel, r"unpacks to 4\.0 GB, more than 1\.1 GB", unpacked=big)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\5\6" + b"\0" * 18, b"PK\3\4" + b"\0" * 100])
def test_what_is_no_wheel(tmp_path, content):
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    wheel.write_bytes(content)
    refused(wheel, "refused")


def test_a_wheel_that_is_cut_off(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    content = wheel.read_bytes()
    for length in range(0, len(content), 37):
        wheel.write_bytes(content[:length])
        refused(wheel, "refused")


def test_a_wheel_of_the_64_bit_form(tmp_path):
    wheel = build_wheel(tmp_path, "tiny", "1.0")
    with zipfile.ZipFile(wheel) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    wheel.write_bytes(out.getvalue())
    assert look(wheel).name == "tiny"


def test_a_wheel_of_more_members_than_16_bits_count(tmp_path):
    files = {f"tiny/m{number}.txt": "" for number in range(66_000)}
    wheel = build_wheel(tmp_path, "tiny", "1.0", {"tiny/__init__.py": "", **files})
    assert len(look(wheel).files) > 66_000
