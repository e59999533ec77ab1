import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry
from efsprov.store.copying.plan import Found, pieces, plan_copy

names = st.text("abc", min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@st.composite
def entries(draw):
    chosen = draw(st.sets(paths, max_size=25))
    fit = [p for p in chosen if not any(other.startswith(f"{p}/") for other in chosen)]
    return [
        FileEntry(
            p,
            draw(st.integers(0, 5 << 20)),
            hashlib.sha256(p.encode()).hexdigest(),
            draw(st.sampled_from([0o644, 0o755])),
        )
        for p in sorted(fit)
    ]


found_things = st.dictionaries(
    paths,
    st.one_of(
        st.just(Found("folder")),
        st.builds(
            Found,
            st.sampled_from(["file", "other"]),
            st.integers(0, 3),
            st.sampled_from([0o644, 0o600]),
            st.integers(1, 3),
        ),
    ),
    max_size=20,
)


@st.composite
def trees(draw):
    """Found things as a real folder holds them: what is above another is a folder."""
    chosen = draw(found_things)
    above = {p.rsplit("/", n)[0] for p in chosen for n in range(1, p.count("/") + 1)}
    return chosen | {folder: Found("folder") for folder in above}


def plan(files, found=None, trusted=(), linkable=()):
    return plan_copy(files, found=found or {}, trusted=frozenset(trusted), linkable=set(linkable))


def tasks(planned):
    return {task.entry: task.do for folder in planned.top.walk() for task in folder.tasks}


@given(entries(), trees(), st.data())
def test_every_file_is_kept_or_has_one_task_in_its_folder(files, found, data):
    trusted = data.draw(st.sets(st.sampled_from(files))) if files else set()
    planned = plan(files, found, trusted)
    seen = [task.entry for folder in planned.top.walk() for task in folder.tasks]
    assert sorted([*seen, *planned.kept]) == files
    for folder in planned.top.walk():
        assert all(task.entry.path.rpartition("/")[0] == folder.path for task in folder.tasks)


@given(entries(), trees())
def test_folders_come_before_what_is_in_them(files, found):
    planned = plan(files, found)
    seen = set()
    for folder in planned.top.walk():
        assert folder.path == "" or folder.path.rpartition("/")[0] in seen
        seen.add(folder.path)
    assert {file.path.rpartition("/")[0] for file in files} <= seen


@given(entries(), trees())
def test_what_is_left_after_the_removals_is_in_nobodys_way(files, found):
    planned = plan(files, found)
    left = {p: f for p, f in found.items() if p not in {*planned.remove_files, *planned.remove_folders}}
    folders = {folder.path for folder in planned.top.walk()}
    wanted = {file.path for file in files}
    assert {p for p, f in left.items() if f.kind == "folder"} <= folders
    assert {p for p, f in left.items() if f.kind != "folder"} <= wanted
    for folder in planned.top.walk():
        assert folder.exists == (folder.path == "" or (folder.path in left and left[folder.path].kind == "folder"))


@given(entries(), trees())
def test_folders_are_removed_after_all_that_is_in_them(files, found):
    removed = plan(files, found).remove_folders
    for index, path in enumerate(removed):
        assert not any(later.startswith(f"{path}/") for later in removed[index + 1 :])


@given(entries(), trees(), st.data())
def test_a_file_that_has_other_names_is_never_written_to(files, found, data):
    linkable = data.draw(st.sets(st.sampled_from([f.path for f in files]))) if files else set()
    planned = plan(files, found, linkable=linkable)
    for file, do in tasks(planned).items():
        there = found.get(file.path)
        if do == "repair":
            assert there is not None
            assert (there.kind, there.links, there.mode) == ("file", 1, file.mode)
            assert file.path not in planned.remove_files
        elif there is not None:
            assert file.path in {*planned.remove_files, *planned.remove_folders}


@given(entries())
def test_the_chain_of_a_folder_is_its_own_weight_and_the_heaviest_below(files):
    for folder in plan(files).top.walk():
        assert folder.chain == folder.weight + max((below.chain for below in folder.folders), default=0)
        assert [below.chain for below in folder.folders] == sorted((b.chain for b in folder.folders), reverse=True)


FILE = FileEntry("a/b", 3, "0" * 64, 0o644)


@pytest.mark.parametrize(
    ("found", "trusted", "linkable", "expected"),
    [
        (None, False, False, "copy"),
        (None, True, False, "copy"),
        (None, False, True, "link"),
        (Found("file", 3, 0o644), True, False, "kept"),
        (Found("file", 3, 0o644, 5), True, True, "kept"),
        (Found("file", 3, 0o644), False, False, "repair"),
        (Found("file", 2, 0o644), True, False, "repair"),
        (Found("file", 3, 0o644), False, True, "link"),
        (Found("file", 3, 0o644, 2), False, False, "copy"),
        (Found("file", 3, 0o600), True, False, "copy"),
        (Found("folder"), True, False, "copy"),
        (Found("other", 3, 0o644), True, False, "copy"),
    ],
)
def test_what_becomes_of_a_file(found, trusted, linkable, expected):
    planned = plan(
        [FILE],
        {"a": Found("folder")} | ({"a/b": found} if found else {}),
        {FILE} if trusted else (),
        {"a/b"} if linkable else (),
    )
    assert (tasks(planned).get(FILE) or "kept") == expected


@pytest.mark.parametrize("bad", [["../x"], ["a", "a"], ["a", "a/b"], ["/x"], [""], ["a//b"]])
def test_paths_that_no_tree_can_hold_are_refused(bad):
    with pytest.raises(IntegrityError, match="list of files"):
        plan([FileEntry(path, 0, "0" * 64) for path in bad])


@given(st.integers(0, 10_000), st.integers(1, 700))
def test_pieces_cover_each_byte_once_and_in_order(size, length):
    position = 0
    for offset, count in pieces(size, length):
        assert offset == position
        assert 0 < count <= length
        position += count
    assert position == size
