"""The command line as a process, on wheels of its own: no index, no caches but the test's."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.needs import build_needs
from tests.wheelhouse import build_wheel

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> Path:
    """What efsprov needs on a host, and a small package to release."""
    folder = build_needs(tmp_path_factory.mktemp("wheels"), VERSION, platform.machine())
    build_wheel(folder, "tiny", "1.0", {"tiny/__init__.py": "__version__ = '1.0'\n", "tiny/data.txt": "data"})
    return folder


def start_efsprov(folder, wheels, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", "from efsprov.cli.main import main; main()", *map(str, arguments)],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "own-state"),
            "PYTHONPATH": str(REPOSITORY),
            "EFSPROV_CACHE": str(folder / "own-cache"),
            "UV_CACHE_DIR": str(folder / "uv-cache"),
            "UV_FIND_LINKS": str(wheels),
            "UV_NO_INDEX": "1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def efsprov(folder, wheels, *arguments, **environment):
    process = start_efsprov(folder, wheels, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def imported(root: Path, tmp_path: Path, name: str = "tiny") -> str:
    """What a handler in a fresh interpreter sees."""
    handler = tmp_path / "handler.py"
    handler.write_text(
        f"import efsprov.bootstrap\nimport {name}\n\ndef handle(event, context):\n    return {name}.__version__, {name}.__file__\n"
    )
    code = "import sys; sys.path.insert(0, sys.argv[1]); import handler; print(*handler.handle({}, None))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env={
            "PYTHONPATH": str(REPOSITORY),
            "EFSPROV_ROOT": str(root),
            "EFSPROV_CHANNEL": "tiny",
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
