"""Clean-ups run in reverse, each of them, whatever the others do."""

import pytest

from efsprov.builders.ec2.clean_up import CleanUp
from efsprov.core.errors import AwsError


def push(undo, done, name, error=None):
    def remove():
        done.append(name)
        if error is not None:
            raise error

    undo.push(remove, what=lambda: f"the {name}", command=lambda: f"remove {name}")


def test_they_run_in_reverse():
    undo, done = CleanUp(), []
    for name in "abc":
        push(undo, done, name)
    assert undo.close() == ()
    assert done == ["c", "b", "a"]
    assert undo.close() == ()
    assert done == ["c", "b", "a"]


@pytest.mark.parametrize("error", [AwsError("denied"), ValueError("a bug"), KeyboardInterrupt()])
def test_one_that_fails_keeps_none_from_running_and_is_reported(error):
    undo, done = CleanUp(), []
    push(undo, done, "a")
    push(undo, done, "b", error)
    push(undo, done, "c")
    (left,) = undo.close()
    assert done == ["c", "b", "a"]
    assert left.what == "the b"
    assert "Remove it with: remove b" in str(left)
    assert left.why
