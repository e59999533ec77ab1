"""Local room for a build: caches that stay, and scratch folders that go."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efsprov.core.errors import BuildError

_APPLICATION = "efsprov"


def cache_folder() -> Path:
    """Return the folder of efsprov's own caches: EFSPROV_CACHE, else the user's cache folder, else the temporary one.

    It is efsprov's own and no installer's: what releases on the same file system share with it, by hard links, no other
    program writes to.
    """
    named = os.environ.get("EFSPROV_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - there may be no home
    candidates = [Path(named)] if named else [Path(base) / _APPLICATION, Path(tempfile.gettempdir()) / _APPLICATION]
    for folder in candidates:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise BuildError(
        f"There is no folder for efsprov's caches: {candidates[0]} cannot be written to.",
        hint="Name one with EFSPROV_CACHE.",
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder beside the caches (so that installing can link instead of copy) and remove it afterwards.

    What a killed run left is removed by the next: a folder belongs to the process whose id its name holds.
    """
    parent = cache_folder() / "scratch"
    parent.mkdir(exist_ok=True)
    _remove_abandoned(parent)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
