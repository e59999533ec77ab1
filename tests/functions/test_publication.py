"""What becomes of published versions: pure decisions."""

import pytest

from efsprov.aws.aliases import Alias
from efsprov.core.errors import ConflictError, NotFoundError, UsageError
from efsprov.functions.publication import check_publication, stale_aliases

ALIASES = (Alias("beta", "2", shared=True), Alias("live", "1", shared=False), Alias("newest", "$LATEST", shared=False))


def test_an_alias_that_is_there_can_move():
    check_publication(ALIASES, "f", publish=True, alias="live")
    check_publication(ALIASES, "f", publish=False, alias=None)


@pytest.mark.parametrize(
    ("publish", "alias", "error"),
    [(False, "live", UsageError), (True, "other", NotFoundError), (True, "beta", ConflictError)],
)
def test_one_that_cannot_is_refused(publish, alias, error):
    with pytest.raises(error) as caught:
        check_publication(ALIASES, "f", publish=publish, alias=alias)
    assert caught.value.hint


def test_those_that_keep_the_old_configuration_are_named():
    (note,) = stale_aliases(ALIASES, "f", None)
    assert "beta (version 2) and live (version 1)" in note
    (note,) = stale_aliases(ALIASES, "f", "live")
    assert "live" not in note
    assert stale_aliases(ALIASES[2:], "f", None) == ()
