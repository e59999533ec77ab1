import json

import pytest

from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.store.verify_lock import check_lock
from tests.store.minisync import sync


def lock_of(*versions):
    """A lock of small packages, one for each version."""
    wheels = [
        LockedFile(f"p{v}-{v}-py3-none-any.whl", f"https://index.test/p{v}-{v}-py3-none-any.whl", v * 64)
        for v in versions
    ]
    return Lock(tuple(LockedPackage(f"p{v}", v, (wheel,)) for v, wheel in zip(versions, wheels, strict=True)))


@pytest.fixture
def one(channel, builds):
    """A channel, and its one release."""
    return channel, sync(channel, builds[1])


def put(channel, release, text, digest):
    """Have the release's lock be ``text``, and its manifest name ``digest``."""
    folder = channel.release_path(release)
    manifest = folder / "release.json"
    document = json.loads(manifest.read_text()) | {"packages_digest": digest}
    for path, content in ((folder / "pylock.toml", text), (manifest, json.dumps(document))):
        path.chmod(0o644)
        path.write_text(content)


def test_the_lock_that_the_manifest_names_has_no_findings(one):
    put(*one, lock_of("1", "2").dump(), lock_of("1", "2").digest)
    assert check_lock(*one) == ()


def test_a_lock_of_other_packages_is_named(one):
    channel, release = one
    put(channel, release, lock_of("1", "3").dump(), lock_of("1", "2").digest)
    (finding,) = check_lock(channel, release)
    assert finding.path == f"releases/{release}/pylock.toml"
    assert "its packages are others" in finding.problem


@pytest.mark.parametrize("text", ["", "[[packages]]\nname = 1\n", "= no TOML\n"])
def test_what_is_not_a_lock_is_named(one, text):
    channel, release = one
    put(channel, release, text, lock_of("1").digest)
    (finding,) = check_lock(channel, release)
    assert finding.problem.startswith("is not a lock")


def test_a_lock_that_is_gone_is_named(one):
    channel, release = one
    put(channel, release, "", lock_of("1").digest)
    (channel.release_path(release) / "pylock.toml").unlink()
    (finding,) = check_lock(channel, release)
    assert "No such file" in finding.problem


def test_manifests_that_name_no_packages_are_not_held_against_them(one):
    assert check_lock(*one) == ()


def test_a_manifest_that_cannot_be_read_is_left_to_the_release_s_own_check(one):
    channel, release = one
    path = channel.release_path(release) / "release.json"
    path.chmod(0o644)
    path.write_text("{")
    assert check_lock(channel, release) == ()
