import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import ResolveError
from efsprov.core.lock import Lock, LockedFile, LockedPackage, parse_lock, select
from efsprov.core.target import lambda_target

SHA = {letter: letter * 64 for letter in "abcdef0123456789"}
TARGET = lambda_target("python3.11", "x86_64")
UV = f"""
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.11"

[[packages]]
name = "wrapt"
version = "1.14.2"
marker = "python_full_version < '3.14'"
wheels = [
    {{ url = "https://me:secret@host/a/wrapt-1.14.2-cp311-cp311-manylinux1_x86_64.manylinux_2_28_x86_64.whl", upload-time = 2025-08-12T06:58:41Z, size = 10, hashes = {{ sha256 = "{SHA["a"]}" }} }},
    {{ url = "https://host/a/wrapt-1.14.2-py3-none-any.whl", hashes = {{ sha256 = "{SHA["b"]}" }} }},
]

[[packages]]
name = "torch"
version = "2.13.0+cpu"
archive = {{ path = "wheels/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_17_x86_64.whl", hashes = {{ sha256 = "{SHA["c"]}" }} }}
"""
names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
versions = st.builds("{}.{}{}".format, st.integers(0, 99), st.integers(0, 99), st.sampled_from(["", "+cpu", "rc1"]))


@st.composite
def packages(draw):
    name, version = draw(names), draw(versions)
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    size = draw(st.none() | st.integers(0, 10**12))
    url = f"https://host/{draw(st.text(max_size=9)).encode().hex()}/{filename}"
    return LockedPackage(name, version, (LockedFile(filename, url, draw(digests), size),))


locks = st.lists(packages(), unique_by=lambda p: p.name).map(lambda ps: Lock(tuple(sorted(ps)), TARGET.name))


@given(locks)
def test_a_lock_is_read_back_as_it_was_written(lock):
    assert parse_lock(lock.dump()) == lock


@given(locks)
def test_the_same_content_gives_the_same_bytes_and_digest(lock):
    shuffled = Lock(tuple(reversed(lock.packages)), lock.target)
    assert shuffled.dump() == lock.dump()
    assert shuffled.digest == lock.digest


@given(locks, st.data())
def test_the_digest_does_not_hang_on_where_a_file_was_found(lock, data):
    moved = Lock(
        tuple(
            replace(p, wheels=tuple(replace(w, url=f"https://mirror/{w.filename}", size=None) for w in p.wheels))
            for p in lock.packages
        ),
        lock.target,
    )
    assert moved.digest == lock.digest
    if lock.packages:
        first = lock.packages[0]
        other = replace(first, wheels=(replace(first.file, sha256=data.draw(digests)),))
        changed = Lock((other, *lock.packages[1:]), lock.target)
        assert (changed.digest == lock.digest) == (other == first)
    assert replace(lock, target="python3.12-x86_64").digest != lock.digest


def test_uvs_lock_is_read_without_what_does_not_matter():
    lock = parse_lock(UV, folder="/project")
    torch, wrapt = lock.packages
    assert (torch.name, torch.version) == ("torch", "2.13.0+cpu")
    assert torch.file.filename == "torch-2.13.0+cpu-cp311-cp311-manylinux_2_17_x86_64.whl"
    assert torch.file.url.startswith("file:///project/wheels/torch-2.13.0")
    assert wrapt.name == "wrapt"
    assert {w.filename: w.size for w in wrapt.wheels} == {
        "wrapt-1.14.2-cp311-cp311-manylinux1_x86_64.manylinux_2_28_x86_64.whl": 10,
        "wrapt-1.14.2-py3-none-any.whl": None,
    }


def test_credentials_do_not_get_into_a_lock():
    assert "secret" not in parse_lock(UV).dump()


def test_the_best_wheel_is_selected_and_it_alone_is_kept():
    lock = select(parse_lock(UV), TARGET)
    assert [p.file.sha256 for p in lock.packages] == [SHA["c"], SHA["a"]]
    assert all(len(p.wheels) == 1 for p in lock.packages)
    assert lock.target == "python3.11-x86_64"
    on_another = select(parse_lock(UV), lambda_target("python3.9", "arm64"))
    assert on_another.packages[1].file.sha256 == SHA["b"]


def test_without_a_wheel_that_fits_the_sdist_is_kept_and_else_all_wheels():
    wheel = LockedFile("a-1-cp39-cp39-win_amd64.whl", "https://host/a", SHA["a"])
    sdist = LockedFile("a-1.tar.gz", "https://host/a.tar.gz", SHA["b"])
    with_sdist = select(Lock((LockedPackage("a", "1", (wheel,), sdist),)), TARGET).packages[0]
    assert with_sdist.file == sdist
    assert select(Lock((LockedPackage("a", "1", (wheel,)),)), TARGET).packages[0].wheels == (wheel,)


def test_sizes_are_filled_in_and_added_up():
    lock = parse_lock(UV)
    sized = select(lock.with_sizes({SHA["c"]: 500, SHA["a"]: 7}), TARGET)
    assert sized.size == 510
    assert parse_lock(sized.dump()).size == 510


def test_the_text_is_toml_that_others_read():
    result = tomllib.loads(select(parse_lock(UV), TARGET).dump())
    assert result["lock-version"] == "1.0"
    assert [p["name"] for p in result["packages"]] == ["torch", "wrapt"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lock-version = ", "not a lock"),
        ('lock-version = "1.0"', "not a lock"),
        ('lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1"\nwheels = [{ url = "https://h/a-1-py3-none-any.whl", hashes = { md5 = "0" } }]', "no SHA-256"),
        ('lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nvcs = { type = "git", url = "https://h/a", commit-id = "1" }', "repository"),
        ('lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\ndirectory = { path = "." }', "folder"),
        (UV + UV.partition("[[packages]]")[1] + UV.partition("[[packages]]")[2], "twice"),
    ],
)  # fmt: skip
def test_what_is_no_lock_is_refused(text, says):
    with pytest.raises(ResolveError, match=says):
        parse_lock(text)


def test_a_file_name_does_not_leave_its_folder():
    text = UV.replace(
        'url = "https://host/a/wrapt-1.14.2-py3-none-any.whl"', 'url = "https://host/..%2f..%2fevil-1-py3-none-any.whl"'
    )
    with pytest.raises(ResolveError):
        parse_lock(text)
