"""Imports a release in a fresh interpreter of its target, which proves that it works and records what that touches."""

import ast
import json
import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from efsprov.core.errors import SmokeError
from efsprov.core.filelist import is_inside
from efsprov.core.wording import signal_name
from efsprov.pipeline.tools.box import Kind, box_kind
from efsprov.pipeline.tools.run_script import BoxedScript, run_boxed_script

SCRIPT = Path(__file__).parent / "in_target" / "probe.py"
TAIL_LINES = 12
_LARGEST_REPORT = 64 << 20
# From this kernel on a fault maps the whole folio that holds the page, up to megabytes, and not 64 KiB around it
# (Linux 6.18, mm/filemap: map entire large folio faultaround).
KERNEL_MAPS_FOLIOS = (6, 18)
CRASHES_SHOWN = ("-X", "faulthandler")
SIGNAL_HINTS: Mapping[int, str] = {
    signal.SIGKILL: "Most likely the builder ran out of memory.",
    signal.SIGILL: "The builder's processor lacks instructions that a library was compiled for.",
}

Touched = Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class SmokeResult:
    """What importing ``imports`` took. Paths are relative to the site; sizes in bytes, times in seconds.

    ``modules`` are the names of the release's modules in the order of loading. ``order`` has the sources that ran and
    the libraries that were loaded in the order of first use, ``loaded`` those of them that are not modules but what modules
    need, ``starts`` where in it each import began, ``quoted`` the sources whose lines were asked for, by tracebacks for
    example. ``libraries`` maps each mapped file to the (offset, length) runs of pages that were touched; it is empty
    where the kernel tells none. ``writes`` are the paths in the site that the import wanted to change, and could not;
    ``box`` is how the run was held, see `box.Kind`.
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
    writes: tuple[str, ...] = ()
    box: str = ""


def smoke(
    site: Path,
    python: Path,
    imports: tuple[str, ...],
    *,
    touched: Touched | None = None,
    timeout: float = 900,
    kind: Kind | None = None,
) -> SmokeResult:
    """Import ``imports`` in order with nothing but ``site`` and the standard library, within ``timeout`` seconds.

    It runs in a box, where the kernel gives one, else on a private copy (``kind`` says which, by default what
    `box.box_kind` finds): it sees the site read-only, as a function does, and reaches nothing else of this machine.
    The environment is clean and the working, home and temporary directories are one empty folder. ``touched`` are the
    ``libraries`` of an earlier smoke test of the very same files: then they are not found out again, for which the page
    cache may have to forget them. Raises ``SmokeError`` with the end of the traceback, the signal or the time limit that
    ended it.
    """
    kind = box_kind() if kind is None else kind
    with tempfile.TemporaryDirectory(prefix="efsprov-smoke-") as folder:
        home, report = Path(folder, "home"), Path(folder, "report")
        home.mkdir()
        seen = site.resolve() if kind == "namespaces" else private_copy(site, Path(folder, "site"))
        if touched is None:
            _drop_large_folios(seen)
        script = BoxedScript(
            SCRIPT,
            (str(seen), str(report), *imports),
            home=home,
            readable=(seen,),
            writable=(Path(folder),),
            flags=CRASHES_SHOWN,
            seconds=timeout,
        )
        outcome = run_boxed_script(python, script, kind=kind)
        writes = _writes(Path(f"{report}.writes"))
        message = bounded_text(report)
        if outcome.code == 0 and message.startswith("{"):
            result = replace(_result(json.loads(message)), writes=tuple(path for _, path in writes), box=outcome.kind)
            return result if touched is None else replace(result, libraries=touched)
        name = imports[0] if not message or message.startswith("{") else message
        error = _error(name, outcome.code, outcome.output.replace(str(seen), str(site.resolve())), timeout)
        error.wanted_folders = tuple(path for what, path in writes if what == "folder")
        raise error


def private_copy(site: Path, to: Path) -> Path:
    """Copy a tree for a run that no box holds: none of its bytes is another release's, or the cache's."""
    shutil.copytree(site, to, symlinks=True)
    return to


def bounded_text(path: Path) -> str:
    """Return what a report says; what is larger than any report is none: somebody else wrote it."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_REPORT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _writes(path: Path) -> list[tuple[str, str]]:
    """Return what the import wanted to change in the site: ("folder" or "file", path relative to it)."""
    found = []
    for line in bounded_text(path).splitlines():
        what, _, name = line.partition(" ")
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(name)
            if what in {"folder", "file"} and isinstance(value, str) and is_inside(value):
                found.append((what, value))
    return found


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


def _result(document: dict[str, Any]) -> SmokeResult:
    return SmokeResult(
        imports=tuple(document["imports"]),
        modules=tuple(document["modules"]),
        order=tuple(document["order"]),
        loaded=tuple(document["loaded"]),
        starts=tuple(document["starts"]),
        quoted=tuple(document["quoted"]),
        libraries={name: tuple((at, length) for at, length in runs) for name, runs in document["libraries"].items()},
        seconds=document["seconds"],
        cpu_seconds=document["cpu_seconds"],
        max_rss=document["max_rss"],
    )


def last_lines(output: str) -> list[str]:
    """Return the end of what a run printed, without the import system's own lines of a traceback."""
    return [line for line in output.rstrip().splitlines() if '"<frozen importlib' not in line][-TAIL_LINES:]


def _error(name: str, code: int | None, output: str, timeout: float) -> SmokeError:
    read_only = "Read-only file system" in output
    lines = last_lines(output)
    hint = "Nothing was published."
    if code is None:
        what = f"it was not done after {timeout:g} seconds"
    elif code < 0:
        what = f"the interpreter was ended by {signal_name(-code)} ({signal.strsignal(-code)})"
        hint = f"{SIGNAL_HINTS.get(-code, 'The lines above are where it was.')} {hint}"
    elif lines:
        what = "the import raised"
    else:
        what = f"the interpreter exited with code {code} and no output"
    if read_only:
        hint = f"Functions see a release read-only, and so does this test: the package must write elsewhere. {hint}"
    if "ModuleNotFoundError" in output:
        hint = f"If what is imported has another name than its distribution, give it with --import. {hint}"
    return SmokeError("\n  ".join([f"`import {name}` fails in the finished release: {what}.", *lines]), hint=hint)
