"""Fixtures for tests that run functions; a conftest imports them."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from devtools.lambda_sandbox.runtime import Runtime
from devtools.lambda_sandbox.sandbox import unavailable


@pytest.fixture(scope="session")
def lambda_runtime(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Runtime:
    """The Lambda runtime of the interpreter that runs the tests; one client for all workers."""
    if reason := unavailable():
        message = f"no sandbox for functions: {reason}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    return Runtime.prepare(Path(sys.executable), cache=shared / "lambda-runtime")


@pytest.fixture(scope="session")
def bootstrap_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer's folder that holds ``efsprov.bootstrap`` and nothing else of efsprov."""
    layer = tmp_path_factory.mktemp("bootstrap-layer")
    source = Path(__file__).parents[2] / "efsprov" / "bootstrap"
    target = layer / "python" / "efsprov" / "bootstrap"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return layer
