"""`efsprov sync --builder ssh` as it is typed: a release is built on the host, published there, and imported."""

import json
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


def efsprov(folder, wheels, *arguments, **environment):
    return subprocess.run(
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
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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


@pytest.mark.parametrize("by", ["flags", "settings file"])
def test_a_release_is_built_over_ssh_and_imported(sshd, wheels, tmp_path, by):
    root = tmp_path / "efs"
    root.mkdir()
    where = f"{sshd.user}@127.0.0.1:{sshd.port}"
    if by == "flags":
        flags = ["--builder", "ssh", "--host", where, "--host-key", sshd.host_key, "--identity", sshd.client_key]
    else:
        flags = []
        (tmp_path / "efsprov.toml").write_text(
            f'builder = "ssh"\n[ssh]\nhost = "{where}"\nhost_key = "{sshd.host_key}"\nidentity = "{sshd.client_key}"\n'
        )
    done = efsprov(
        tmp_path, wheels, "sync", "--root", root, "-f", "tiny==1.0", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)["result"]
    assert told["outcome"] == "published"
    manifest = json.loads((Path(told["path"]) / "release.json").read_text())
    assert manifest["builder"]["kind"] == "ssh"
    assert imported(root, tmp_path).startswith("1.0 " + str(root))
    again = efsprov(
        tmp_path, wheels, "sync", "--root", root, "-f", "tiny==1.0", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert json.loads(again.stdout)["result"]["outcome"] == "unchanged"


def test_an_unknown_host_is_told_as_an_error(sshd, wheels, tmp_path):
    flags = ["--builder", "ssh", "--host", f"{sshd.user}@127.0.0.1:{sshd.port}", "--identity", sshd.client_key]
    done = efsprov(
        tmp_path, wheels, "sync", "--root", tmp_path, "-f", "tiny", "--runtime", f"python{VERSION}", "--json", *flags
    )
    assert done.returncode == 13
    told = json.loads(done.stdout)["error"]
    assert told["code"] == "builder"
    assert "Nothing was sent" in told["message"]
    assert list((sshd.state).glob("**/log")) == []
