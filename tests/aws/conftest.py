from collections.abc import Iterator

import pytest

from devtools.strict_aws.double import StrictAws
from efsprov.aws.session import Aws, open_session
from efsprov.net.retry import Policy

QUICK = Policy("quick", attempts=4, seconds=60, first=0.001, longest=0.01)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictAws]:
    with StrictAws() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def aws(fake: StrictAws) -> Aws:
    opened = open_session()
    return Aws(opened.session, opened.region, throttled=QUICK)
