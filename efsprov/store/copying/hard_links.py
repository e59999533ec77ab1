"""Which files of existing releases a new release can be given as hard links, instead of writing them again.

A link shares the inode, so damage would be shared too. What is checked costs no round trips of its own, because a
folder's listing and each link bring the attributes along: type, size and mode are those of the release's file list, and
the file was not written to after that list was. (Both times are the server's.) Content that rotted without a write
shows in `efsprov verify` only.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from efsprov.core import filelist
from efsprov.core.filelist import FileEntry
from efsprov.store.copying.cached_stat import CachedStat

MAX_LINKS: Final = 177  # names a file on EFS, https://docs.aws.amazon.com/efs/latest/ug/limits.html
_CLOCK_STEP_NS: Final = 2_000_000_000  # the coarsest timestamps in use


@dataclass(frozen=True, slots=True)
class LinkSource:
    """A release to link from: its folder, and when its file list was written (ns since the epoch, on its server)."""

    release: Path
    written_ns: int

    @classmethod
    def of(cls, release: Path) -> "LinkSource":
        """Look at a release; raises ``OSError`` when it is gone."""
        return cls(release, os.stat(release / filelist.NAME).st_mtime_ns)

    def damage(self, there: CachedStat | None, entry: FileEntry) -> str:
        """Say in what the file whose attributes are ``there`` is not ``entry`` any more; '' when it is, as far as they tell."""
        if there is None or not stat.S_ISREG(there.mode):
            return "is not there"
        if there.size != entry.size or stat.S_IMODE(there.mode) != entry.mode:
            return "has another size or mode than its release says"
        if there.modified_ns > self.written_ns + _CLOCK_STEP_NS:
            return "was changed after it was published"
        return ""

    def refusal(self, there: CachedStat | None, entry: FileEntry) -> str:
        """Say why no link to the file can stand for ``entry``; '' when one can."""
        if there is not None and there.links >= MAX_LINKS:
            return "has all the links that it may have"
        return self.damage(there, entry)


@dataclass(frozen=True)
class LinkIndex:
    """Of which release each path can be linked: ``where`` maps a path to an index into ``sources``."""

    sources: tuple[LinkSource, ...] = ()
    where: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def build(
        cls, wanted: Iterable[FileEntry], releases: Iterable[tuple[LinkSource, Sequence[FileEntry]]]
    ) -> "LinkIndex":
        """Find ``wanted`` in the file lists of ``releases``, the first of which that has a file is taken.

        A file counts as the same when path, size, mode and SHA-256 are. Stops reading ``releases`` when all is found.
        """
        return cls().extended(wanted, releases)

    def extended(
        self, wanted: Iterable[FileEntry], releases: Iterable[tuple[LinkSource, Sequence[FileEntry]]]
    ) -> "LinkIndex":
        """Look for what is not found yet in more ``releases``."""
        missing = {entry for entry in wanted if entry.path not in self.where}
        sources, where = list(self.sources), dict(self.where)
        if not missing:
            return self
        for source, entries in releases:
            same = missing.intersection(entries)
            if same:
                where.update(dict.fromkeys((entry.path for entry in same), len(sources)))
                sources.append(source)
                missing -= same
            if not missing:
                break
        return LinkIndex(tuple(sources), where)

    @cached_property
    def main(self) -> LinkSource | None:
        """The release that most files can be linked from."""
        count = Counter(self.where.values())
        return self.sources[count.most_common(1)[0][0]] if count else None

    def source_of(self, path: str) -> LinkSource | None:
        """Return the release that has the file, or None."""
        index = self.where.get(path)
        return None if index is None else self.sources[index]
