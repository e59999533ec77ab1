"""A command line to type into: real processes, small wheels, no index."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wheelhouse import build_wheel

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class CommandLine:
    """Runs efsprov in a folder of its own. ``environment`` adds to what every run gets."""

    def __init__(self, folder: Path, wheels: Path, cache: Path) -> None:
        self.folder, self.wheels, self.root = folder, wheels, folder / "efs"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "EFSPROV_CACHE": str(cache),
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_INDEX": "1",
            "COLUMNS": "200",
        }
        if "PYENV_ROOT" in os.environ:
            self.environment["PYENV_ROOT"] = os.environ["PYENV_ROOT"]

    def start(self, *arguments, umask=-1, **environment):
        return subprocess.Popen(
            [sys.executable, "-c", "from efsprov.cli.main import main; main()", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=umask,
        )

    def __call__(self, *arguments, umask=-1, **environment):
        process = self.start(*arguments, umask=umask, **environment)
        out, err = process.communicate(timeout=120)
        return Answer(process.returncode, out, err)

    def sync(self, requirement, *arguments, **environment):
        return self(
            *("sync", "--root", self.root, "--framework", requirement, "--runtime", RUNTIME, *arguments), **environment
        )


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0", "3.0"):
        build_wheel(
            folder,
            "tiny",
            version,
            {"tiny/__init__.py": f"__version__ = {version!r}\n", "tiny/data.txt": version * 100},
        )
    build_wheel(folder, "helper", "1.0")
    build_wheel(folder, "needs-helper", "1.0", requires=["helper"])
    build_wheel(folder, "broken", "1.0", {"broken/__init__.py": "import nothing_that_exists\n"})
    build_wheel(folder, "slow", "1.0", {"slow/__init__.py": "import time\ntime.sleep(60)\n"})
    build_wheel(folder, "quarrel", "1.0", requires=["tiny==1.0"])
    build_wheel(folder, "old-only", "1.0", tag="cp39-cp39-manylinux_2_17_x86_64")
    build_wheel(folder, "new-glibc", "1.0", tag="py3-none-manylinux_2_28_x86_64")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def efsprov(tmp_path, wheels, cache):
    return CommandLine(tmp_path, wheels, cache)


def snapshot(top: Path):
    """Everything below ``top``, to the byte."""
    found = {}
    for path in sorted(top.rglob("*")) if top.is_dir() and not top.is_symlink() else []:
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
