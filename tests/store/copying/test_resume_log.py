import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.store.copying.resume_log import CopyRecord, file_system_type, forget, record_path, scope_of
from efsprov.store.fs.fileops import FileOps
from tests.store.copy_trees import entry

A, B, C = entry("a", b"a"), entry("d/b\nc", b"bb", 0o755), entry("c", b"")


@pytest.fixture
def staging(tmp_path):
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging"


def record(staging, scope="this boot"):
    return CopyRecord(staging, ops=FileOps(), scope=scope)


def noted(staging, *batches, scope="this boot", kept=()):
    notes = record(staging, scope)
    notes.keep(kept)
    for batch in batches:
        notes.note(batch)
    notes.close()


def test_nothing_is_trusted_where_nothing_was_noted(staging):
    assert record(staging).trusted == frozenset()


def test_what_was_noted_on_this_boot_is_trusted(staging):
    noted(staging, [A], [B, C])
    assert record(staging).trusted == {A, B, C}


def test_what_was_noted_on_another_boot_is_not(staging):
    noted(staging, [A, B])
    assert record(staging, "another boot").trusted == frozenset()


def test_what_was_noted_on_nfs_is_trusted_by_whoever_reads_it(staging):
    noted(staging, [A, B], scope="lasting")
    assert record(staging, "lasting").trusted == {A, B}
    assert record(staging, "any boot").trusted == {A, B}


def test_only_what_is_kept_stays(staging):
    noted(staging, [A, B])
    noted(staging, [C], kept=[A])
    assert record(staging).trusted == {A, C}


def test_the_last_note_about_a_path_counts(staging):
    other = entry("a", b"other")
    noted(staging, [A], [other])
    assert record(staging).trusted == {other}


def test_forget_removes_the_notes_and_may_be_repeated(staging):
    noted(staging, [A])
    forget(staging, ops=FileOps())
    forget(staging, ops=FileOps())
    assert not record_path(staging).exists()
    assert [path.name for path in staging.parent.iterdir()] == ["staging"]


@given(cut=st.integers(0, 400), garbage=st.binary(max_size=40))
def test_a_torn_record_never_names_more_than_was_noted(tmp_path_factory, cut, garbage):
    staging = tmp_path_factory.mktemp("torn") / "staging"
    staging.mkdir()
    noted(staging, [A], [B, C])
    path = record_path(staging)
    content = path.read_bytes()
    cut = min(cut, len(content))
    path.write_bytes(content[:cut] + garbage.replace(b"#", b"") + content[cut:][len(garbage) :])
    assert record(staging).trusted <= {A, B, C}
    path.write_bytes(content[:cut])
    assert record(staging).trusted <= {A, B, C}


def test_a_local_folder_is_trusted_until_the_machine_boots_again(tmp_path):
    assert scope_of(tmp_path) == scope_of(tmp_path)
    assert scope_of(tmp_path) != "lasting"
    assert file_system_type(tmp_path) not in {"", "nfs", "nfs4"}
    assert file_system_type("/proc") == "proc"
