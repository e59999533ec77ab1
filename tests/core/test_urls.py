"""URLs as people write them: taken apart, or refused in one sentence."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import UsageError
from efsprov.core.urls import split_url


@pytest.mark.parametrize("text", ["//[", "https://[::1", "https://]/x", "http://[nonsense]/", "https://a\u2100b/x"])
def test_what_is_no_url_is_refused(text):
    with pytest.raises(UsageError, match="is not a URL"):
        split_url(text)


def test_a_password_is_not_shown():
    with pytest.raises(UsageError) as caught:
        split_url("https://user:hunter2secret@[::1/x")
    assert "hunter2secret" not in str(caught.value)


@given(st.text() | st.from_regex(r"(https?:)?//[\[\]:@/?#a0%]*", fullmatch=True))
def test_anything_is_taken_apart_or_refused(text):
    with contextlib.suppress(UsageError):
        split_url(text)
