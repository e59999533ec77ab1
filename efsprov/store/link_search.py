"""Looks for the releases that a new one can be linked from: of its own channel, then of the root's other channels."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from efsprov.core.errors import EfsprovError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.store.copying.hard_links import LinkIndex, LinkSource
from efsprov.store.current import read_current
from efsprov.store.layout import Channel
from efsprov.store.verify import read_files, read_manifest

# A file list of a framework is 2 MB: reading it pays while a good part of the files is still to be found.
_OWN: Final = 4  # releases of the channel itself
_OTHERS: Final = 8  # other channels
_ENOUGH: Final = 0.99  # of files and of bytes

Listed = tuple[LinkSource, tuple[FileEntry, ...]]


def find_links(channel: Channel, files: Sequence[FileEntry], state: State) -> LinkIndex:
    """Find which of ``files`` some release on the root has: of the channel (``state`` is what its journal says), or others.

    Its current release comes first, then the newest; releases that are marked bad are left out. Of the other channels
    only the current release is looked at, those of the same target first. What cannot be read is nothing to link from.
    """
    usable = sorted((r for r in state.live if r.bad is None), key=lambda r: (r.id == state.current, r.id), reverse=True)
    own = LinkIndex.build(files, _listed((channel, release.id) for release in usable[:_OWN]))
    if _is_enough(own, files):
        return own
    return own.extended(files, _listed(_others(channel)))


def _others(channel: Channel) -> Iterator[tuple[Channel, str]]:
    try:
        others = [c for c in channel.root.channels(kind=channel.kind) if c.path != channel.path]
    except EfsprovError:
        return
    others.sort(key=lambda c: (c.target != channel.target, c.name, c.target))
    for other in islice(others, _OTHERS):
        try:
            current = read_current(other)
        except EfsprovError:
            continue
        if current is not None:
            yield other, current


def _listed(releases: Iterator[tuple[Channel, str]]) -> Iterator[Listed]:
    for channel, release in releases:
        try:
            files = read_files(channel, release, read_manifest(channel, release))
            yield LinkSource.of(channel.release_path(release)), files
        except (EfsprovError, OSError):
            continue


def _is_enough(index: LinkIndex, files: Sequence[FileEntry]) -> bool:
    found = [entry for entry in files if entry.path in index.where]
    return len(found) >= _ENOUGH * len(files) and sum(e.size for e in found) >= _ENOUGH * sum(e.size for e in files)
