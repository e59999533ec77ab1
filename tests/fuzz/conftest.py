import time

import pytest

from tests.fuzz.mutation import SECONDS, budget

__all__ = ["budget"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """With `make fuzz`, run each target again and again, each time with new inputs, until its share of the time is over."""
    if not SECONDS:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    return True
