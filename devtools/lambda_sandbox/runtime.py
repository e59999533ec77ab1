"""A Lambda runtime out of an interpreter of this machine and Amazon's runtime interface client."""

import fcntl
import importlib.metadata
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uv

from devtools.lambda_sandbox.sandbox import Bind, Entry

PROBE = """
import json, os, site, sys
print(json.dumps({
    "executable": os.path.realpath(sys._base_executable),
    "prefix": os.path.realpath(sys.base_prefix),
    "version": "%d.%d" % sys.version_info[:2],
    "packages": [os.path.realpath(folder) for folder in site.getsitepackages([sys.base_prefix])],
}))
"""


@dataclass(frozen=True)
class Runtime:
    """``name`` as Lambda has it; ``executable`` and ``masked`` (folders of installed packages) lie below ``prefix``."""

    name: str
    prefix: Path
    executable: Path
    masked: tuple[Path, ...]
    client: Path
    no_packages: Path

    @classmethod
    def prepare(cls, interpreter: Path, *, cache: Path) -> "Runtime":
        """The runtime that ``interpreter`` (of a virtual environment or not) makes.

        Its client is installed into ``cache`` once, whoever asks first.
        """
        probed = subprocess.run([interpreter, "-I", "-c", PROBE], check=True, capture_output=True, text=True)
        facts = json.loads(probed.stdout)
        prefix, executable = Path(facts["prefix"]), Path(facts["executable"])
        (cache / "no-packages").mkdir(parents=True, exist_ok=True)
        return cls(
            name=f"python{facts['version']}",
            prefix=prefix,
            executable=executable.relative_to(prefix),
            masked=tuple(Path(p).relative_to(prefix) for p in facts["packages"] if Path(p).is_relative_to(prefix)),
            client=install_client(executable, facts["version"], cache),
            no_packages=cache / "no-packages",
        )

    @property
    def version(self) -> str:
        """``3.11``."""
        return self.name.removeprefix("python")

    @property
    def command(self) -> str:
        """The interpreter as the sandbox sees it."""
        return f"/var/lang/{self.executable}"

    def entries(self) -> list[Entry]:
        """Lambda's places: the interpreter in /var/lang without the packages it has here, the client in /var/runtime."""
        packages = [folder for folder in self.masked if (self.prefix / folder).is_dir()]
        return [
            Bind(self.prefix, "/var/lang"),
            *(Bind(self.no_packages, f"/var/lang/{folder}") for folder in packages),
            Bind(self.client, "/var/runtime"),
        ]


def install_client(executable: Path, version: str, cache: Path) -> Path:
    """Install awslambdaric, in the version that the project is developed with, for an interpreter; returns the folder."""
    release = importlib.metadata.version("awslambdaric")
    folder = cache / f"awslambdaric-{release}-python{version}"
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = Path(tempfile.mkdtemp(dir=cache))
            command = [
                uv.find_uv_bin(),
                "pip",
                "install",
                "--quiet",
                "--python",
                str(executable),
                "--target",
                str(half),
            ]
            try:
                subprocess.run([*command, f"awslambdaric=={release}"], check=True)
                half.rename(folder)
            except BaseException:
                shutil.rmtree(half)
                raise
    return folder
