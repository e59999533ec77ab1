"""`efsprov bench import` on a real NFS mount: what it counts, and that the shim asks little."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.wheelhouse import build_wheel

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
MODULES = 60


@pytest.fixture
def root(tmp_path, cache):
    """A root with a release of sixty modules, made on the local disk."""
    names = [f"part{number:02}" for number in range(MODULES)]
    files = {f"many/{name}.py": f"NAME = {name!r}\n" for name in names}
    (tmp_path / "wheels").mkdir()
    build_wheel(
        tmp_path / "wheels", "many", "1.0", {"many/__init__.py": f"from many import {', '.join(names)}\n", **files}
    )
    efsprov = CommandLine(tmp_path, tmp_path / "wheels", cache)
    assert efsprov.sync("many").code == 0
    return efsprov.root


def test_requests_are_counted_and_few(root, nfs_guest):
    nfs_guest.run("a", ["cp", "-a", root, "/mnt/a/root"], check=True)
    nfs_guest.remount("a")
    program = [sys.executable, "-c", "from efsprov.cli.main import main; main()"]
    arguments = ["bench", "import", "--root", "/mnt/a/root", "--rounds", "2", "--cold", "--json"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PYENV_ROOT": os.environ.get("PYENV_ROOT", "")}
    done = nfs_guest.run("a", [*program, *arguments], env=environment, timeout=600, check=True)
    document = json.loads(done.stdout)
    assert (document["nfs"], document["cold"], document["imports"]) == (True, True, ["many"])
    plain, accelerated, shim = (document[way]["median"]["total_requests"] for way in ("plain", "accelerated", "shim"))
    assert plain >= 3 * MODULES, "each module's bytecode is opened, read and closed"
    assert accelerated <= 40
    assert shim <= 12
    release = next(root.glob("deps/many/*/current"))
    written = sum(each.stat().st_size for each in (release / "import.index", *(release / "import.packs").iterdir()))
    assert 0 < document["accelerated"]["median"]["fetched"] <= written
    assert all(cost["indexed"] for cost in document["accelerated"]["rounds"])
    assert document["plain"]["rounds"][0]["requests"]["READ"] >= MODULES
