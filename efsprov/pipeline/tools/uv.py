"""Runs uv, the one program of this kind: for resolving and for installing."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uv import find_uv_bin

from efsprov.core.errors import BuildError
from efsprov.core.masking import mask
from efsprov.pipeline.tools.installer_settings import InstallerSettings

# The glibc versions, all 2.N, for which `--python-platform` takes a manylinux platform.
UV_GLIBC: Final[tuple[int, ...]] = (17, 28, *range(31, 41))
# uv must neither bring an interpreter of its own nor draw on the terminal.
_ALWAYS: Final = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


@dataclass(frozen=True)
class UvAnswer:
    """What a run of uv gave; credentials in ``stderr`` are masked."""

    ok: bool
    stdout: str
    stderr: str


def run_uv(
    arguments: list[str],
    settings: InstallerSettings,
    *,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> UvAnswer:
    """Run uv with ``arguments`` in nothing but the environment of ``settings``; raises ``BuildError`` if it is not there.

    It runs by the interpreter that runs efsprov, whatever the target is.
    """
    environment = {**settings.environment, **(extra_environment or {}), **_ALWAYS}
    if environment.pop("UV_NO_INDEX", "") and "--no-index" not in arguments:  # uv has the flag only
        end = arguments.index("--") if "--" in arguments else len(arguments)
        arguments = [*arguments[:end], "--no-index", *arguments[end:]]
    environment.setdefault("HOME", os.path.expanduser("~"))  # noqa: PTH111 - pathlib raises where there is no home
    try:
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            env=environment,
            cwd=cwd,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise BuildError(
            f"uv cannot be started: {error}.", hint="Reinstall efsprov: uv is one of its dependencies."
        ) from error
    stdout, stderr = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return UvAnswer(done.returncode == 0, stdout, mask(stderr))


def own_python() -> str:
    """Return the interpreter that uv may run for itself."""
    return sys.executable
