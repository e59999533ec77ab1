"""A root with a published release, and a place to carry it to."""

import pytest

from efsprov.bundle.folder import FolderPlace
from efsprov.core.events import SILENT
from efsprov.pipeline.tools.progress import ProgressReporter
from tests.store.minisync import build, open_channel, sync


@pytest.fixture
def steps():
    return ProgressReporter(SILENT)


@pytest.fixture
def channel(tmp_path):
    """A channel with one release of some forty files."""
    opened = open_channel(tmp_path / "root")
    sync(opened, build(tmp_path / "builds", 1, extra=30, modules=8))
    return opened


@pytest.fixture
def place(tmp_path):
    return FolderPlace(tmp_path / "oci")
