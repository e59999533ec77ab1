"""Damages sound bytes, and bounds what reading them may take."""

import os
import resource
import time
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from efsprov.core.errors import EfsprovError

# `make fuzz` gives each target its share of ten minutes; in `make test` each has a second or two.
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SLOWEST = 20.0  # seconds that one input may take, on a busy machine
LARGEST = 1 << 30  # bytes of memory that a target may grow by

fuzzed = settings(
    max_examples=300 if SECONDS else 40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class Budget:
    """Bounds what reading one input may take."""

    def __init__(self) -> None:
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    @contextmanager
    def input(self):
        """Hold one input to what everybody may count on: an `EfsprovError` or success, in time and memory."""
        began = time.monotonic()
        try:
            yield
        except EfsprovError as error:
            assert error.message  # noqa: PT017 (success is right as well)
            assert str(error).isprintable() or "\n" in str(error)  # noqa: PT017
        assert time.monotonic() - began < SLOWEST
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - self.memory < LARGEST


@st.composite
def edits(draw, *, most=6):
    """A few changes of bytes: (kind, place between 0 and 1, bytes)."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["put", "insert", "delete", "cut", "repeat", "flip"]),
                st.floats(0, 1),
                st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from(
                    [b"\xff" * 8, b"\0" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"-1", b"1e999", b"null", b"[[[[", b'{"a":', b"../x"]
                )),
            ),
            min_size=1,
            max_size=most,
        )
    )  # fmt: skip


def damaged(content, changes):
    """Return ``content`` with ``changes`` made to it, the number of bytes bounded."""
    for kind, place, new in changes:
        at = int(place * len(content))
        if kind == "put":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + len(new) :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "repeat":
            content = content[:at] + content[at : at + 64] * 8 + content[at:]
        elif kind == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ new[0]]) + content[at + 1 :]
        content = content[: 4 << 20]
    return content


@pytest.fixture
def budget():
    return Budget()
