"""Packages that change the import system do on an accelerated release what they do on a plain one, on each CPython.

Each program prints what the package made of the release's modules; both runs must print the same.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from efsprov.pipeline.imports.compile import compile_tree
from efsprov.pipeline.imports.import_index import write_index
from efsprov.pipeline.imports.smoke import smoke

A = "20261121T063000Z-3f2a9c1b"
UV = Path(sys.executable).with_name("uv")
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """``requirements`` are installed, ``imports`` are on the index's path, ``program`` calls ``out``."""

    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    program: str
    files: tuple[tuple[str, str], ...] = ()


NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["X = 5"], "outputs": [], "metadata": {}, "execution_count": null}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'

CASES = {
    "hy": Case(
        ("hy", "pyyaml"),
        ("hy", "yaml"),
        """
import efsprov.bootstrap, sys
sys.path.insert(0, ".")
import hy, yaml, sums
out([sums.total, yaml.safe_load("[1]"), sorted(n for n in sys.modules if n.startswith(("hy.", "yaml")))])
""",
        (("sums.hy", "(setv total (+ 1 2))\n"),),
    ),
    "importnb": Case(
        ("importnb", "pyyaml"),
        ("importnb", "yaml"),
        """
import efsprov.bootstrap, sys
sys.path.insert(0, ".")
from importnb import Notebook
with Notebook():
    import five
    import yaml.nodes
out([five.X, yaml.safe_load("[1]"), sorted(n for n in sys.modules if n.startswith(("importnb", "yaml")))])
""",
        (("five.ipynb", NOTEBOOK),),
    ),
    "coverage": Case(
        ("coverage", "pyyaml"),
        ("coverage", "yaml"),
        """
import efsprov.bootstrap, os
import coverage
measured = coverage.Coverage(data_file=None, source_pkgs=["yaml"], config_file=False)
measured.start()
import yaml
yaml.safe_load("a: [1, 2]")
measured.stop()
data = measured.get_data()
out({os.path.basename(name): sorted(data.lines(name)) for name in data.measured_files()})
""",
    ),
    "debugpy": Case(
        ("debugpy", "pyyaml"),
        ("debugpy", "yaml"),
        """
import efsprov.bootstrap, sys
import debugpy
debugpy.configure(subProcess=False)
address = debugpy.listen(("127.0.0.1", 0), in_process_debug_adapter=True)
import yaml
debugpy.trace_this_thread(True)
out([type(address).__name__, yaml.safe_load("[1]"), debugpy.is_client_connected(), sorted(n for n in sys.modules if n.startswith("yaml"))])
import os; sys.stdout.flush(); os._exit(0)
""",
    ),
    "beartype": Case(
        ("beartype", "packaging"),
        ("beartype", "packaging"),
        """
import efsprov.bootstrap
from beartype.claw import beartype_package
beartype_package("packaging")
import packaging.version
try:
    packaging.version.parse(17)
    found = "not checked"
except Exception as error:
    found = type(error).__name__
out([found, packaging.version.__name__])
""",
    ),
    "ddtrace": Case(
        ("ddtrace", "requests"),
        ("requests",),
        """
import os
os.environ.update(DD_TRACE_ENABLED="false", DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false")
import efsprov.bootstrap, sys
import ddtrace
from ddtrace import patch
patch(requests=True)
import requests
out([getattr(requests, "__datadog_patch", None) or getattr(requests, "_datadog_patch", None), type(requests.Session.send).__name__,
     sorted(n for n in sys.modules if n.startswith("requests"))])
import os; sys.stdout.flush(); os._exit(0)
""",
    ),
    "opentelemetry": Case(
        ("opentelemetry-sdk", "opentelemetry-instrumentation-requests", "requests"),
        ("opentelemetry.sdk.trace", "requests"),
        """
import efsprov.bootstrap, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.instrumentation.requests import RequestsInstrumentor
import wrapt
seen = []
wrapt.register_post_import_hook(lambda module: seen.append(module.__name__), "yaml")
RequestsInstrumentor().instrument(tracer_provider=TracerProvider())
import requests
from importlib.metadata import entry_points
names = sorted(e.name for e in entry_points().get("opentelemetry_propagator", [])) if sys.version_info < (3, 10) else sorted(
    e.name for e in entry_points(group="opentelemetry_propagator"))
out([hasattr(requests.Session.send, "opentelemetry_instrumentation_requests_applied"), names,
     sorted(n for n in sys.modules if n.startswith("opentelemetry.sdk.trace"))])
""",
    ),
    "joblib": Case(
        ("joblib", "pyyaml"),
        ("joblib", "yaml"),
        """
import efsprov.bootstrap, sys
import joblib
def load(text):
    import yaml
    return yaml.safe_load(text), yaml.__file__
if __name__ == "__main__":
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(load)("[%d]" % n) for n in range(4))
    out(found)
""",
    ),
}


@pytest.fixture
def both(root, run, python, tmp_path):
    """both(case) runs its program without the index and with it."""

    def both(case):
        release = root.release("pack", A, python=python)
        site = release / "site"
        command = [UV, "pip", "install", "-q", "--python", python, "--target", site]
        done = subprocess.run([*command, *case.requirements], capture_output=True, text=True, check=False)
        if "no wheels with a matching" in done.stderr or "requires Python" in done.stderr.replace("\n", " "):
            pytest.skip(f"no version of it for this CPython: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        compile_tree(site, Path(python))
        write_index(release, site, Path(python), smoke(site, Path(python), case.imports))
        for name, text in case.files:
            (tmp_path / name).write_text(text)
        return [run(case.program, CHANNEL="pack", python=python, ACCEL=accel) for accel in ("0", "1")]

    return both


@pytest.mark.parametrize("name", CASES)
def test_it_does_what_it_does_on_a_plain_release(both, name):
    plain, accelerated = both(CASES[name])
    assert (plain.code, accelerated.code) == (0, 0), f"{plain.stderr[-1500:]}\n---\n{accelerated.stderr[-1500:]}"
    assert accelerated.value == plain.value
    assert plain.value
    assert "without its index" not in accelerated.stderr
