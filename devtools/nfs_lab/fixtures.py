"""Pytest's way to the lab: the fixture `nfs_guest`, and what the guest says when a test fails in it."""

import contextlib
from collections.abc import Generator, Iterator

import pytest

from devtools.nfs_lab.availability import require
from devtools.nfs_lab.errors import LabError
from devtools.nfs_lab.guest import Guest


class SharedGuest:
    """One guest for all tests of a pytest process: booted when first asked for, and again when it died."""

    def __init__(self) -> None:
        self._guest: Guest | None = None
        self._cleanup = contextlib.ExitStack()

    def get(self) -> Guest:
        """The guest, alive."""
        if self._guest is None or not self._guest.alive:
            self.close()
            self._guest = self._cleanup.enter_context(Guest())
        return self._guest

    def close(self) -> None:
        """End it; the next `get` boots again."""
        self._cleanup.close()
        self._guest = None


_SHARED = SharedGuest()


@pytest.fixture(scope="session")
def shared_guest() -> Iterator[SharedGuest]:
    """The holder of the guest that the tests of this process share; skips, or fails with CI=true, where none can run."""
    require()
    yield _SHARED
    _SHARED.close()


@pytest.fixture
def no_guest(shared_guest: SharedGuest) -> None:
    """For a test that boots a guest of its own: makes room for it."""
    shared_guest.close()


@pytest.fixture
def nfs_guest(shared_guest: SharedGuest) -> Iterator[Guest]:
    """The shared guest, put right after the test: no faults, no delay, no programs, an empty export, cold clients."""
    guest = shared_guest.get()
    yield guest
    if guest.alive:
        try:
            guest.reset()
        except LabError:  # one test's trouble is not the next one's
            shared_guest.close()
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the guest's console and its server's log below a failure."""
    report = yield
    guest = getattr(item, "funcargs", {}).get("nfs_guest")
    if report.failed and isinstance(guest, Guest) and guest.alive:
        with contextlib.suppress(LabError, OSError):
            report.sections.append(("The guest's last words", guest.last_words()))
    return report
