"""Imports a release in a fresh interpreter of its target, which proves that it works and records what that touches."""

import json
import os
import platform
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from efsprov.core.errors import SmokeError

SCRIPT = Path(__file__).parent / "in_target" / "probe.py"
TAIL_LINES = 12
# From this kernel on a fault maps the whole folio that holds the page, up to megabytes, and not 64 KiB around it
# (Linux 6.18, mm/filemap: map entire large folio faultaround).
KERNEL_MAPS_FOLIOS = (6, 18)
# What an interpreter may need in order to start at all: Lambda's finds its libpython by LD_LIBRARY_PATH.
KEPT = ("PATH", "LD_LIBRARY_PATH", "TZ")
SIGNAL_HINTS: Mapping[int, str] = {
    signal.SIGKILL: "Most likely the builder ran out of memory.",
    signal.SIGILL: "The builder's processor lacks instructions that a library was compiled for.",
}

Touched = Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class SmokeResult:
    """What importing ``imports`` took. Paths are relative to the site; sizes in bytes, times in seconds.

    ``modules`` are the names of the release's modules in the order of loading. ``order`` has the sources that ran and
    the libraries that were loaded in the order of first use, ``loaded`` those of them that are no modules but what modules
    need, ``starts`` where in it each import began, ``quoted`` the sources whose lines were asked for, by tracebacks for
    example. ``libraries`` maps each mapped file to the (offset, length) runs of pages that were touched; it is empty
    where the kernel tells none.
    """

    imports: tuple[str, ...]
    modules: tuple[str, ...]
    order: tuple[str, ...]
    loaded: tuple[str, ...]
    starts: tuple[int, ...]
    quoted: tuple[str, ...]
    libraries: Touched
    seconds: float
    cpu_seconds: float
    max_rss: int


def smoke(
    site: Path, python: Path, imports: tuple[str, ...], *, touched: Touched | None = None, timeout: float = 900
) -> SmokeResult:
    """Import ``imports`` in order with nothing but ``site`` and the standard library, within ``timeout`` seconds.

    The environment is clean and the working, home and temporary directories are one empty folder. ``touched`` are the
    ``libraries`` of an earlier smoke test of the very same files: then they are not found out again, for which the page
    cache may have to forget them. Raises ``SmokeError`` with the end of the traceback, the signal or the time limit that
    ended it.
    """
    if touched is None:
        _drop_large_folios(site)
    with tempfile.TemporaryDirectory(prefix="efsprov-smoke-") as folder:
        home, report, output = Path(folder, "home"), Path(folder, "report"), Path(folder, "output")
        home.mkdir()
        files = [str(SCRIPT), str(site.resolve()), str(report)]
        command = [str(python), "-I", "-S", "-B", "-X", "faulthandler", *files, *imports]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with suppress(ProcessLookupError):  # what it started goes with it
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said = report.read_text("utf-8", "surrogateescape") if report.exists() else ""
        if code == 0 and said.startswith("{"):
            result = _result(json.loads(said))
            return result if touched is None else replace(result, libraries=touched)
        name = imports[0] if not said or said.startswith("{") else said
        raise _error(name, code, output.read_text("utf-8", "replace"), timeout)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}


def _drop_large_folios(site: Path) -> None:
    """Make the page cache forget the libraries of ``site``, where whole folios of it would pass for touched.

    Bytes that an installer wrote in large pieces lie in large folios. Pages that faults bring back do not.
    """
    release = platform.release().split("-")[0].split(".")
    if tuple(int(part) for part in release[:2] if part.isdigit()) < KERNEL_MAPS_FOLIOS:
        return
    for folder, _, names in os.walk(site):
        for name in names:
            if name.endswith(".so") or ".so." in name:
                with Path(folder, name).open("rb") as file:
                    os.fsync(file.fileno())  # the cache can only forget what the disk has
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _result(told: dict[str, Any]) -> SmokeResult:
    return SmokeResult(
        imports=tuple(told["imports"]),
        modules=tuple(told["modules"]),
        order=tuple(told["order"]),
        loaded=tuple(told["loaded"]),
        starts=tuple(told["starts"]),
        quoted=tuple(told["quoted"]),
        libraries={name: tuple((at, length) for at, length in runs) for name, runs in told["libraries"].items()},
        seconds=told["seconds"],
        cpu_seconds=told["cpu_seconds"],
        max_rss=told["max_rss"],
    )


def _error(name: str, code: int | None, output: str, timeout: float) -> SmokeError:
    lines = [line for line in output.rstrip().splitlines() if '"<frozen importlib' not in line][-TAIL_LINES:]
    hint = "Nothing was published."
    if code is None:
        what = f"it was not done after {timeout:g} seconds"
    elif code < 0:
        what = f"the interpreter was ended by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
        hint = f"{SIGNAL_HINTS.get(-code, 'The lines above are where it was.')} {hint}"
    elif lines:
        what = "the import raised"
    else:
        what = f"the interpreter left with exit code {code} and without a word"
    if "ModuleNotFoundError" in output:
        hint = f"If what is imported has another name than its distribution, give it with --import. {hint}"
    return SmokeError("\n  ".join([f"`import {name}` fails in the finished release: {what}.", *lines]), hint=hint)
