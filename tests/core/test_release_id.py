from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.core.errors import UsageError
from efsprov.core.release_id import is_release_id, new_release_id, release_time

DIGEST = "3f2a9c1b" + "0" * 56
clocks = st.integers(86400, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds + 0.5, UTC))


def test_is_the_time_and_the_lock():
    at = datetime(2026, 11, 21, 7, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert new_release_id(DIGEST, now=at, newest=None) == "20261121T063000Z-3f2a9c1b"


@settings(deadline=None)
@given(st.lists(st.tuples(clocks, st.text("0123456789abcdef", min_size=64, max_size=64)), min_size=2, max_size=10))
def test_only_grows_whatever_the_clocks_say(publications):
    ids = []
    for now, digest in publications:
        ids.append(new_release_id(digest, now=now, newest=max(ids, default=None)))
    assert ids == sorted(set(ids))
    assert all(is_release_id(release) for release in ids)


@settings(deadline=None)
@given(clocks)
def test_tells_its_time(now):
    assert release_time(new_release_id(DIGEST, now=now, newest=None)) == now.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "20261121T063000Z",
        "20261121T063000Z-3f2a9c1",
        "20261121T063000Z-3f2a9c1bb",
        "20261121T063000Z-3F2A9C1B",
        "20261399T063000Z-3f2a9c1b",
        "../20261121T063000Z-3f2a9c1b",
        "20261121T063000Z-3f2a9c1b\n",
        "\u0662\u0660\u0662\u06661121T063000Z-3f2a9c1b",
    ],
)
def test_refuses_what_is_none(text):
    assert not is_release_id(text)
    with pytest.raises(UsageError, match="is not a release id"):
        release_time(text)
