"""A release's files in layers: every one in one, where the places say, in archives that any tool reads."""

import hashlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.bundle.layers import MOST_LAYERS, PLACES_NAME, TOP, cut, read_places
from efsprov.core import filelist
from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry


def content_of(path: str, size: int) -> bytes:
    return (hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest() * (size // 32 + 1))[:size]


def entry(path: str, size: int, mode: int = 0o644) -> FileEntry:
    return FileEntry(path, size, hashlib.sha256(content_of(path, size)).hexdigest(), mode)


def layers_of(files):
    return cut(files, filelist.dump(files), payload="site")


def bytes_of(layer) -> bytes:
    return b"".join(
        part.data if part.file is None else content_of(part.file.path, part.file.size) for part in layer.parts
    )


def places_of(files, layers):
    text = dict(layers[0].given)[PLACES_NAME].decode()
    return read_places(text, sorted(files), [layer.size for layer in layers])


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=40).filter(
    lambda name: name not in {".", ".."} and len(name.encode("utf-8", "replace")) < 200
)
SURROGATES = st.just("caf\udce9.py")
PATHS = st.lists(st.one_of(NAMES, SURROGATES), min_size=1, max_size=4).map("/".join)


def is_tree(paths) -> bool:
    folders = {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    return not folders & set(paths)


def encodable(path: str) -> bool:
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@settings(deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["site/", "", "import.packs/"]), PATHS).map("".join).filter(encodable),
        st.tuples(st.integers(0, 3000), st.sampled_from([0o644, 0o755])),
        max_size=12,
    ).filter(lambda files: is_tree(files) and not {"files.list", "files.places"} & {p.partition("/")[0] for p in files})
)
def test_every_file_lies_in_one_layer_where_its_place_says(given_files):
    files = tuple(sorted(entry(path, size, mode) for path, (size, mode) in given_files.items()))
    layers = layers_of(files)
    places = places_of(files, layers)
    archives = [bytes_of(layer) for layer in layers]
    assert [len(archive) for archive in archives] == [layer.size for layer in layers]
    unpacked = {}
    for archive in archives:
        with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
            for member in tar:
                assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "")
                if member.isfile():
                    assert member.name not in unpacked
                    unpacked[member.name] = (tar.extractfile(member).read(), member.mode)
    assert unpacked.pop(f"{TOP}/files.list")[0].decode("utf-8", "surrogateescape") == filelist.dump(files)
    unpacked.pop(f"{TOP}/files.places")
    assert unpacked == {f"{TOP}/{e.path}": (content_of(e.path, e.size), e.mode) for e in files}
    for e in files:
        number, offset = places[e.path]
        assert archives[number][offset : offset + e.size] == content_of(e.path, e.size)


def framework(**changes: int) -> tuple[FileEntry, ...]:
    """Thirty packages, two of them large; ``changes`` are sizes by the package's name."""
    sizes = {"tensorflow": 40 << 20, "numpy": 20 << 20, **{f"package{n}": 30_000 + n for n in range(28)}, **changes}
    return tuple(sorted(entry(f"site/{name}/__init__.py", size) for name, size in sizes.items()))


def digests(layers) -> set[str]:
    return {hashlib.sha256(bytes_of(layer)).hexdigest() for layer in layers}


def test_a_changed_package_changes_its_layer_and_the_list():
    before, after = layers_of(framework()), layers_of(framework(package7=31_000))
    changed = digests(after) - digests(before)
    assert len(changed) == 2
    sent = sum(layer.size for layer in after if hashlib.sha256(bytes_of(layer)).hexdigest() in changed)
    assert sent < 0.01 * sum(layer.size for layer in after)


def test_an_added_package_changes_its_layer_and_the_list():
    before, after = layers_of(framework()), layers_of(framework(added=1000))
    assert len(digests(after) - digests(before)) <= 3, "where its name ends a layer, that is cut in two"


def test_each_large_file_of_the_releases_own_is_a_layer():
    packs = tuple(entry(f"import.packs/{n:02}", 1 << 20) for n in range(9))
    layers = layers_of(tuple(sorted((*framework(), *packs, entry("import.index", 900_000)))))
    assert [[e.path for e in layer.files] for layer in layers[:10]] == [["import.index"], *([p.path] for p in packs)]


def test_there_are_never_more_layers_than_runtimes_take():
    many = tuple(sorted(entry(f"site/package{n}/big.bin", 4 << 20) for n in range(300)))
    many += tuple(entry(f"import.packs/{n}", (1 << 20) + n) for n in range(200))
    layers = layers_of(many)
    assert 2 <= len(layers) <= MOST_LAYERS
    assert len(places_of(many, layers)) == 500


@pytest.mark.parametrize("text", ["", "0", "0 0\n0", "0 x", "0 -1", "9 0", "0 99999999999", "0 0 0 0", "٣ 0"])
def test_places_outside_the_layers_are_refused(text):
    with pytest.raises(IntegrityError):
        read_places(text, [entry("site/a.py", 10)], [100])
