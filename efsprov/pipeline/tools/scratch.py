"""Local room for a build: caches that stay, and scratch folders that go."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from efsprov.core.errors import BuildError
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.remove import remove_tree

_APPLICATION = "efsprov"
_LOCK = ".lock"
_ID_DIGITS = 10  # a process id has fewer (proc_sys_kernel(5), pid_max)


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

    What a killed run left is removed by the next. A folder belongs to whoever holds the lock of the file beside it: the
    kernel lets go of that with the process, and other containers that share the cache see it, which process ids they do
    not (pid_namespaces(7)). A folder that cannot be removed stops nobody.
    """
    parent = cache_folder() / "scratch"
    parent.mkdir(exist_ok=True)
    _remove_abandoned(parent)
    folder = parent / uuid4().hex
    lock = folder.with_suffix(_LOCK)
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(folder, lock)


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"*{_LOCK}"):
        with suppress(OSError), lock.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused: somebody is at work there
            _remove(lock.with_suffix(""), lock)
    for folder in parent.iterdir():  # of a version that locked nothing
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and len(owner) < _ID_DIGITS and not Path("/proc", owner).exists():
            remove_tree(FileOps(), folder)


def _remove(folder: Path, lock: Path) -> None:
    if not remove_tree(FileOps(), folder).left:
        lock.unlink(missing_ok=True)
