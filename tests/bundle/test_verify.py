"""A bundle that is read whole: what is wrong with it is named."""

import pytest

from efsprov.bundle.blobs import open_bundle
from efsprov.bundle.pull import read_contents
from efsprov.bundle.verify import verify
from efsprov.core.manifest import Manifest
from tests.bundle.bundles import Forger, push_current


def problems(place):
    seen = []
    bundle = open_bundle(place)
    found = verify(read_contents(bundle, Manifest), "site", lambda done, total: seen.append((done, total)))
    assert seen[-1][1] == bundle.size
    return [(problem.where, problem.what) for problem in found]


def test_a_whole_bundle_has_no_problem(channel, place):
    push_current(channel, place)
    assert problems(place) == []


def test_a_file_with_other_bytes_is_named(channel, place):
    push_current(channel, place)
    digest = Forger(place).manifest["layers"][-1]["digest"]
    path = Forger(place).path(digest)
    path.write_bytes(path.read_bytes().replace(b"NUMBER", b"NUMBAR"))
    assert problems(place) == [
        (digest, "has other bytes than its digest says"),
        ("site/framework/__init__.py", f"in {digest} is not what the file list says"),
    ]


def test_a_header_that_says_something_else_is_found_although_every_digest_is_right(channel, place):
    push_current(channel, place)
    forger = Forger(place)
    content = forger.blob(forger.manifest["layers"][-1]["digest"])
    forger.replace_layer(
        len(forger.manifest["layers"]) - 1, content.replace(b"framework/part.py", b"../../../evils.py")
    )
    forger.finish()
    (found,) = problems(place)
    assert found[0] == "a header"


@pytest.mark.parametrize("more", [b"\0" * 512, b"x" * 512])
def test_a_layer_that_holds_more_is_found(channel, place, more):
    push_current(channel, place)
    forger = Forger(place)
    content = forger.blob(forger.manifest["layers"][-1]["digest"])
    forger.replace_layer(len(forger.manifest["layers"]) - 1, content + more)
    forger.finish()
    assert "other layers than its file list asks for" in problems(place)[0][1]


def test_a_missing_blob_is_a_problem_and_not_the_end(channel, place):
    push_current(channel, place)
    forger = Forger(place)
    forger.path(forger.manifest["layers"][-1]["digest"]).unlink()
    assert "cannot be read" in problems(place)[0][1]
