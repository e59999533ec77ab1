"""The folder in which a publisher builds a release: handed on after a kill, thrown away after a failure."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path, PurePosixPath

from efsprov.store.copying.resume_log import CopyRecord, file_system_type, record_path
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import lstat, open_directory
from efsprov.store.fs.remove import Removed, remove_tree
from efsprov.store.layout import Channel, make_directory

_THREADS = 16
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "hostfs", "overlay", "tmpfs", "xfs", "zfs"})


def resume_staging(channel: Channel, keep: str, *, shared: bool | None = None) -> tuple[Path, bool]:
    """Name a fresh staging folder, and put into it what a killed run left under the same name, if any.

    On a local disk whoever held the lock before is dead, and the folder is simply renamed. On a network file system it
    may be alive, cut off from the server (the lock does not fence, see `publisher_lock`), and go on writing when it comes
    back: through files and folders that it holds open, or by the old path. So what is built here shares no folder, no
    name and no unfinished file with it: only files that it noted as finished are moved, one by one. ``shared`` says
    whether other machines may write to this file system; it is looked up where nothing is said.
    """
    fresh = channel.staging / f"{keep or 'none'}.{channel.writer.new_tx()}"
    old = [name for name in _folders_in(channel.staging) if keep and (name == keep or name.startswith(f"{keep}."))]
    if not old:
        return fresh, False
    left = channel.staging / max(old, key=lambda name: os.lstat(channel.staging / name).st_mtime_ns)
    if shared is None:
        shared = file_system_type(channel.staging) not in _LOCAL
    if shared:
        _move_finished_files(channel, left, fresh)
    else:
        _move(channel, left, fresh)
    _move(channel, record_path(left), record_path(fresh))
    return fresh, lstat(fresh) is not None


def _move_finished_files(channel: Channel, left: Path, fresh: Path) -> None:
    noted = [entry.path for entry in CopyRecord(left, ops=channel.ops).trusted]
    real = _real_folders(left, {parent for path in noted for parent in PurePosixPath(path).parents})
    files = [path for path in noted if real.issuperset(PurePosixPath(path).parents)]
    folders = {parent for path in files for parent in PurePosixPath(path).parents}
    with ThreadPoolExecutor(_THREADS) as pool:
        for _, level in groupby(sorted(folders, key=_depth), key=_depth):
            list(pool.map(lambda folder: make_directory(channel.ops, fresh / folder), level))
        list(pool.map(lambda path: _move(channel, left / path, fresh / path), files))


def _real_folders(top: Path, folders: set[PurePosixPath]) -> set[PurePosixPath]:
    """Return those of ``folders`` that are not links: a rename through one would take files away from outside."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda folder: (folder, lstat(top / folder)), folders)
        return {folder for folder, status in found if status is not None and stat.S_ISDIR(status.st_mode)}


def _depth(path: PurePosixPath) -> int:
    return len(path.parts)


def _folders_in(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _move(channel: Channel, source: Path, target: Path) -> None:
    with suppress(OSError):  # what does not come along is built again
        channel.ops.rename(str(source), str(target))


def sync_rename(channel: Channel) -> None:
    """Bring the rename of a staged tree to a release to stable storage: before the journal tells of it."""
    with translate_os_errors("Publishing the release", channel.releases):
        for folder in (channel.releases, channel.staging):
            with open_directory(folder) as fd:
                channel.ops.fsync(fd)


def discard_staging(channel: Channel, staging: Path) -> Removed:
    """Remove a staging folder and what was noted beside it; raises nothing that the file system may say.

    For a publisher that fails in an orderly way. What cannot be removed, the next publisher removes.
    """
    removed = Removed()
    with suppress(OSError):
        for name in sorted(os.listdir(channel.staging)):
            if name == staging.name or name.startswith(f"{staging.name}."):
                removed += remove_tree(channel.ops, channel.staging / name)
    return removed
