from datetime import UTC, datetime

from efsprov.core.difference import compare
from efsprov.core.manifest import Builder, Distribution, Figures, Manifest


def manifest(release, size, *distributions):
    return Manifest(
        id=release,
        tx="0" * 16,
        channel="c",
        created=datetime(2026, 11, 21, tzinfo=UTC),
        lock_digest="0" * 64,
        files_sha256="0" * 64,
        builder=Builder(kind="local", host="h", python="CPython 3.11.7", efsprov="0.1.0"),
        figures=Figures(bytes=size),
        distributions=tuple(
            Distribution(name=n, version=v, wheel=f"{n}-{v}.whl", sha256=h * 64, installed_size=s)
            for n, v, h, s in distributions
        ),
    )


def test_tells_added_removed_changed_and_rebuilt():
    before = manifest(
        "a", 100, ("gone", "1", "a", 10), ("same", "1", "b", 20), ("new", "1", "c", 30), ("rebuilt", "1", "d", 5)
    )
    after = manifest(
        "b", 150, ("same", "1", "b", 20), ("new", "2", "e", 70), ("rebuilt", "1", "f", 5), ("extra", "3", "0", 9)
    )
    difference = compare(before, after)
    assert {c.name: (c.what, c.before, c.after) for c in difference.changes} == {
        "extra": ("added", None, "3"),
        "gone": ("removed", "1", None),
        "new": ("changed", "1", "2"),
        "rebuilt": ("rebuilt", "1", "1"),
    }
    assert (difference.same, difference.size_before, difference.size_after) == (1, 100, 150)


def test_a_release_does_not_differ_from_itself():
    one = manifest("a", 100, ("same", "1", "b", 20))
    assert compare(one, one).changes == ()
    assert compare(one, one).same == 1
