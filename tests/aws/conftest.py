from collections.abc import Iterator

import pytest

from efsprov.aws.session import Aws, open_session
from efsprov.core.retry import Policy
from tests.aws.fake_aws import FakeAws

QUICK = Policy("quick", attempts=4, seconds=60, first=0.001, longest=0.01)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def aws(fake: FakeAws) -> Aws:
    opened = open_session()
    return Aws(opened.session, opened.region, throttled=QUICK)
