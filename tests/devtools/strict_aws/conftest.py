from collections.abc import Iterator

import pytest

from devtools.strict_aws.double import StrictAws


@pytest.fixture
def double() -> Iterator[StrictAws]:
    with StrictAws() as double:
        yield double
