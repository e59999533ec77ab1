"""What every test of the shim needs: the CPythons of this machine, a root to pin from, and a fresh process to do it in."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
OLDEST, NEWEST = (3, 9), (3, 14)


def interpreters() -> dict[str, str]:
    """{"3.9": path of an interpreter, ...} for each CPython from OLDEST to NEWEST that PATH or pyenv offers."""
    candidates = [sys.executable]
    candidates += filter(None, (shutil.which(f"python3.{minor}") for minor in range(OLDEST[1], NEWEST[1] + 1)))
    with contextlib.suppress(OSError):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
        candidates += map(str, sorted(Path(root).glob("versions/*/bin/python"))) if root else []
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    found: dict[str, str] = {}
    for path in candidates:
        run = subprocess.run([path, "-c", probe], capture_output=True, text=True, check=False)
        version, _, name = run.stdout.strip().partition(" ")
        if name == "cpython" and OLDEST <= tuple(map(int, version.split("."))) <= NEWEST:
            found.setdefault(version, path)
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


INTERPRETERS = interpreters()


@pytest.fixture(name="interpreters")
def _interpreters():
    """{version: path} of all of them."""
    return INTERPRETERS


@pytest.fixture(params=INTERPRETERS, ids=str)
def python(request):
    """Path of each interpreter in turn."""
    return INTERPRETERS[request.param]


@dataclass
class Root:
    """A root made of plain files, in the layout that the store writes."""

    path: Path

    def release(self, channel, release_id, *, python=sys.executable, target=None, modules=None, current=True):
        """A release with MODULES ({relative path: text}) in its site; the channel's current one, unless told otherwise."""
        base = self.path / "deps" / channel / (target or self.targets(python)[0])
        for name, text in {"marker.py": f"ID = {release_id!r}\n", **(modules or {})}.items():
            file = base / "releases" / release_id / "site" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if current:
            self.activate(base, release_id)
        return base / "releases" / release_id

    def model(self, name, release_id):
        base = self.path / "models" / name
        files = base / "releases" / release_id / "files"
        files.mkdir(parents=True)
        (files / "weights").write_text(release_id)
        self.activate(base, release_id)
        return base

    @staticmethod
    def targets(python=sys.executable):
        """Names of the targets that PYTHON is: as a Lambda runtime, and as this machine's own interpreter."""
        probe = (
            "import os, sys; m = os.uname().machine.replace('aarch64', 'arm64');"
            "p = 'python%d.%d-' % sys.version_info[:2] + m;"
            "print(p, p + '-' + os.confstr('CS_GNU_LIBC_VERSION').replace(' ', ''))"
        )
        return subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.split()

    @staticmethod
    def activate(base, release_id):
        with contextlib.suppress(FileNotFoundError):
            (base / "current").unlink()
        (base / "current").symlink_to(f"releases/{release_id}")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "efs").mkdir()
    return Root((tmp_path / "efs").resolve())


@dataclass
class Outcome:
    """What a process said: the JSON document that it printed last, its other output, its exit code."""

    value: object
    stderr: str
    code: int

    @property
    def error(self):
        """The last line of the traceback."""
        return self.stderr.strip().splitlines()[-1] if self.stderr.strip() else ""


@pytest.fixture
def run(root, tmp_path):
    """run(code, CHANNEL=..., ...) runs CODE in a fresh process with the shim importable; `out(x)` hands X back."""

    def run(code, *, python=sys.executable, flags=(), cwd=None, root=root.path, **environ):
        prelude = "import json, sys\ndef out(x): print(json.dumps(x))\n"
        env = {
            k: v for k, v in os.environ.items() if not k.startswith(("EFSPROV_", "PYTHON", "AWS_", "LAMBDA_", "COV"))
        }
        env["PYTHONPATH"] = str(SOURCE)
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        env |= {"EFSPROV_ROOT": str(root)} if root else {}
        for name, value in environ.items():
            env[name if name.isupper() and "_" in name else f"EFSPROV_{name}"] = value
        done = subprocess.run(
            [python, *flags, "-c", prelude + code],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            cwd=cwd or tmp_path,
        )
        last = done.stdout.strip().splitlines()[-1:] or ["null"]
        return Outcome(json.loads(last[0]), done.stderr, done.returncode)

    return run
