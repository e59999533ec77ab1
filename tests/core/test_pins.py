import pytest

from efsprov.core.errors import UsageError
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.pins import Unheld, collect_pins, hold
from efsprov.core.requirement_file import parse_requirement_file

A, B, C = "a" * 64, "b" * 64, "c" * 64
SIX = LockedPackage(
    "six", "1.0", (LockedFile("six-1.0-py2-none-any.whl", "file:///a", A), LockedFile("six-1.0-py3-none-any.whl", "file:///b", B)),
    LockedFile("six-1.0.tar.gz", "file:///c", C),
)  # fmt: skip
LOCK = Lock((SIX,))


def pins(text, constraints="", *, required=False):
    lines, limits = (parse_requirement_file(t, where="r.txt", environ={}).lines for t in (text, constraints))
    return collect_pins(lines, limits, required=required)


def test_without_hashes_nothing_is_held():
    assert hold(LOCK, pins("six")) == LOCK


def test_the_files_with_a_pinned_hash_are_kept():
    assert hold(LOCK, pins(f"six==1.0 --hash=sha256:{B}")).packages[0].wheels == (SIX.wheels[1],)
    held = hold(LOCK, pins(f"six==1.0 --hash=sha256:{A} --hash sha256:{C.upper()}")).packages[0]
    assert (held.wheels, held.sdist) == ((SIX.wheels[0],), SIX.sdist)


def test_a_hash_that_no_file_has_is_refused_with_its_line():
    refused = hold(LOCK, pins("\nsix==1.0 --hash=sha256:" + "0" * 64))
    assert isinstance(refused, Unheld)
    assert refused.reason == "no file of six 1.0 has a hash that r.txt, line 2 allows"


def test_a_dependency_without_a_hash_is_refused():
    other = LockedPackage("idna", "3.0", (LockedFile("idna-3.0-py3-none-any.whl", "file:///i", C),))
    refused = hold(Lock((other, SIX)), pins(f"six==1.0 --hash=sha256:{A}"))
    assert isinstance(refused, Unheld)
    assert refused.name == "idna"


def test_hashes_of_a_constraint_count_and_both_must_hold():
    assert hold(LOCK, pins("six", f"six==1.0 --hash=sha256:{A}")).packages[0].wheels == (SIX.wheels[0],)
    with pytest.raises(UsageError, match="six has no --hash"):
        pins(f"six==1.0 --hash=sha256:{B}", f"six==1.0 --hash=sha256:{A}")


def test_a_url_hash_is_held_and_requires_none_of_others():
    found = pins(f"six @ https://h/six-1.0-py3-none-any.whl#sha256={B}\nidna")
    assert not found.required
    assert hold(LOCK, found).packages[0].wheels == (SIX.wheels[1],)


@pytest.mark.parametrize(
    ("text", "required", "says"),
    [
        (f"six==1.0 --hash=sha256:{A}\nidna==3.0", False, "idna has no --hash"),
        ("six==1.0\nidna==3.0", True, "six and idna have no --hash"),
        (f"six>=1.0 --hash=sha256:{A}", False, "six does not name one version"),
        (f"six==1.* --hash=sha256:{A}", False, "six does not name one version"),
        (f"six --hash=sha256:{A}", False, "six does not name one version"),
    ],
)
def test_with_one_hash_all_must_be_pinned(text, required, says):
    with pytest.raises(UsageError, match=says):
        pins(text, required=required)


def test_a_url_hash_that_contradicts_the_hash_behind_it_is_refused():
    with pytest.raises(UsageError, match="not among the hashes"):
        pins(f"six @ https://h/six-1.0-py3-none-any.whl#sha256={B} --hash=sha256:{A}")
