import io
import tarfile
import zipfile

import pytest

from efsprov.core.errors import ModelError
from efsprov.models.archives import is_archive, unpack
from tests.models.conftest import write_zip


@pytest.fixture
def into(tmp_path):
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def write_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in members:
            entry = tarfile.TarInfo(member) if isinstance(member, str) else member
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


FILES = {"model/saved_model.pb": b"graph", "labels.txt": b"cat"}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("m.tar", "w"), ("m.tar.gz", "w:gz"), ("m.tgz", "w:gz"), ("m.tar.bz2", "w:bz2"), ("m.tar.xz", "w:xz")],
)
def test_tar_is_unpacked(tmp_path, into, name, mode):
    path = write_tar(tmp_path / name, FILES.items(), mode)
    assert is_archive(path)
    unpack(path, into)
    assert contents(into) == FILES


def test_zip_is_unpacked(tmp_path, into):
    path = write_zip(tmp_path / "m.zip", {**FILES, "empty/": b""})
    assert is_archive(path)
    unpack(path, into)
    assert contents(into) == FILES


def test_tar_of_the_current_folder_is_unpacked(tmp_path, into):
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    path = write_tar(tmp_path / "m.tar", [(folder, b""), ("./labels.txt", b"cat")], "w")
    unpack(path, into)
    assert contents(into) == {"labels.txt": b"cat"}


def test_a_models_own_zip_is_none(samples):
    assert not is_archive(samples / "dense.keras")
    assert not is_archive(samples / "linear_state.pt")


@pytest.mark.parametrize("member", ["../evil", "/etc/evil", "a/../../evil", "..", "a\\..\\evil"])
def test_names_that_lead_outside_are_refused(tmp_path, into, member):
    for path in (
        write_zip(tmp_path / "m.zip", {"good": b"1", member: b"2"}),
        write_tar(tmp_path / "m.tar.gz", [("good", b"1"), (member, b"2")]),
    ):
        with pytest.raises(ModelError, match="leads out of the folder"):
            unpack(path, into)
        assert {f.name for f in tmp_path.iterdir()} <= {"into", "m.zip", "m.tar.gz"}
        for left in into.iterdir():
            left.unlink()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_is_refused(tmp_path, into, kind):
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(ModelError, match="'link' is not a plain file"):
        unpack(write_tar(tmp_path / "m.tar", [(member, b"")], "w"), into)


def test_a_member_without_a_name_is_refused(tmp_path, into):
    path = write_zip(tmp_path / "m.zip", {**FILES, "NAME": b"?"})
    path.write_bytes(path.read_bytes().replace(b"NAME", b"\0AME"))
    with pytest.raises(ModelError):
        unpack(path, into)


def test_link_in_a_zip_is_refused(tmp_path, into):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ModelError, match="is neither a file nor a folder"):
        unpack(tmp_path / "m.zip", into)


def test_member_that_stands_twice_is_refused(tmp_path, into):
    with pytest.raises(ModelError, match="'a' stands twice"):
        unpack(write_tar(tmp_path / "m.tar", [("a", b"1"), ("a", b"2")], "w"), into)


def test_bomb_is_refused(tmp_path, into):
    content = bytearray((write_zip(tmp_path / "m.zip", {"a": b"x" * 100})).read_bytes())
    directory = content.rfind(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (4_000_000_000).to_bytes(4, "little")  # its size, as the directory says
    (tmp_path / "m.zip").write_bytes(content)
    with pytest.raises(ModelError, match="is to unpack to 4000000000 bytes"):
        unpack(tmp_path / "m.zip", into)


def test_what_would_not_fit_is_refused_before_it_is_written(tmp_path, into):
    member = tarfile.TarInfo("huge")
    member.size = 1 << 60
    (tmp_path / "m.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(ModelError, match="there is no room to unpack 'huge'"):
        unpack(tmp_path / "m.tar", into)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("name", ["m.zip", "m.tar.gz", "m.tar.xz", "m.tar"])
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.9])
def test_truncated_archive_is_refused(tmp_path, into, name, keep):
    big = {"a": bytes(range(256)) * 400, "b": b"tail" * 10_000}
    path = tmp_path / name
    if name.endswith(".zip"):
        write_zip(path, big)
    else:
        write_tar(path, big.items(), {"m.tar.gz": "w:gz", "m.tar.xz": "w:xz", "m.tar": "w"}[name])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(ModelError, match="not a sound archive"):
        unpack(path, into)
