"""Finds the interpreter that a target needs on this machine, and tells what this machine's own target is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from efsprov.core.errors import BuildError

_PROBE = """
import json, os, platform, sys, sysconfig
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "full": platform.python_version(),
    "implementation": sys.implementation.name, "machine": platform.machine(), "free_threaded":
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), "libc": os.confstr("CS_GNU_LIBC_VERSION") or ""}))
"""
_NEEDS = """
import json, os, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps([os.path.realpath(sys.executable), sys.base_prefix, sys.base_exec_prefix, paths["stdlib"],
    paths["platstdlib"], os.path.dirname(os.path.realpath(sys.executable)), sysconfig.get_config_var("LIBDIR") or ""]))
"""
_PROBE_SECONDS = 20


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs here. ``version`` is "3.11", ``full`` "3.11.7", ``arch`` Lambda's word for the machine."""

    path: Path
    version: str
    full: str
    arch: str
    glibc: tuple[int, int]

    def __str__(self) -> str:
        return f"CPython {self.full}"


def find_interpreter(version: str) -> Interpreter:
    """Return a CPython of ``version`` ("3.11") of this machine; raises ``BuildError`` when there is none."""
    for path in _candidates(version):
        found = probe(path)
        if found and found.version == version:
            return found
    raise BuildError(
        f"CPython {version} is not on this machine: it is needed to compile the release and to prove that it imports.",
        hint=f"Install it (`uv python install {version}`, or your system's python{version}), build for a runtime whose "
        "Python is here with --runtime, or build elsewhere with --builder.",
    )


def has_interpreter(version: str) -> bool:
    """Tell whether this machine has a CPython of ``version``."""
    try:
        find_interpreter(version)
    except BuildError:
        return False
    return True


def probe(path: Path) -> Interpreter | None:
    """Ask an interpreter what it is; None when it is not a CPython with the GNU C library, or does not answer."""
    try:
        answer = subprocess.run(
            [str(path), "-I", "-S", "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS, check=True
        )
        result = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    libc = result["libc"].partition(" ")[2].split(".")
    if result["implementation"] != "cpython" or result["free_threaded"] or len(libc) < 2:
        return None
    arch = {"aarch64": "arm64"}.get(result["machine"], result["machine"])
    return Interpreter(path, result["version"], result["full"], arch, (int(libc[0]), int(libc[1])))


def own_interpreter() -> Interpreter:
    """Return the interpreter that runs efsprov, outside its virtual environment; it is what `--runtime host` builds for."""
    found = probe(Path(sys.executable))
    if found is None:
        raise BuildError(
            "This machine's Python is not a CPython on the GNU C library: --runtime host cannot build for it.",
            hint="Name a Lambda runtime: --runtime python3.13.",
        )
    return found


def _candidates(version: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        path = shutil.which(f"python{version}", path=folder)
        if path:
            yield Path(path)
    if pyenv := os.environ.get("PYENV_ROOT"):
        yield from sorted(Path(pyenv).glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    yield from sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/python{version}"), reverse=True)


@dataclass(frozen=True)
class InterpreterNeeds:
    """What an interpreter needs to start: the program itself, behind all links, and folders."""

    executable: Path
    folders: tuple[Path, ...]


@cache
def interpreter_needs(python: Path) -> InterpreterNeeds:
    """Ask an interpreter what it needs; raises ``BuildError`` when it does not answer."""
    try:
        answer = subprocess.run(
            [str(python), "-I", "-S", "-c", _NEEDS], capture_output=True, timeout=_PROBE_SECONDS, check=True
        )
        executable, *folders = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BuildError(
            f"{python} cannot be started: {error}.", hint="Install it again, or name another runtime."
        ) from error
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    found = {Path(os.path.realpath(folder)) for folder in (*folders, *libraries) if folder}
    return InterpreterNeeds(Path(executable), tuple(sorted(folder for folder in found if folder != Path("/"))))
