"""Brings the composed tree into staging on the root: by a move where that is the same file system, else by a copy."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from efsprov.core.errors import EfsprovError
from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Figures
from efsprov.pipeline.steps import Steps
from efsprov.store.copy import CopyReport, copy_tree
from efsprov.store.layout import Channel
from efsprov.store.links import LinkIndex, LinkSource
from efsprov.store.oserrors import reported
from efsprov.store.publisher_lock import PublisherLock
from efsprov.store.removal import remove_tree
from efsprov.store.verify import read_files, read_manifest


def place(
    lock: PublisherLock, tree: Path, files: Sequence[FileEntry], staging: Path, since: State, steps: Steps
) -> Figures:
    """Make ``staging`` hold exactly ``files`` of ``tree``, and return what was written and linked.

    On one file system the tree itself becomes the staging folder. Elsewhere it is copied, and what an earlier release
    has already is linked.
    """
    channel, total = lock.channel, sum(entry.size for entry in files)
    with steps.step("copy") as step:
        if tree.stat().st_dev == channel.staging.stat().st_dev:
            _move(channel, tree, staging)
            step.outcome = f"moved {len(files)} files"
            return Figures(files=len(files), bytes=total)
        report = copy_tree(
            tree,
            staging,
            files,
            ops=channel.ops,
            links=_links(channel, files, since),
            progress=lambda p: step.bytes(p.bytes_done, p.bytes_total, f"({p.files_done} of {p.files_total} files)"),
            check=lock.assert_held,
        )
        step.outcome = _outcome(report)
    return Figures(
        files=report.files, bytes=report.bytes, linked_files=report.linked_files, linked_bytes=report.linked_bytes
    )


def _move(channel: Channel, tree: Path, staging: Path) -> None:
    remove_tree(channel.ops, staging)
    with reported("Moving the release into staging", staging):
        try:
            channel.ops.rename(str(tree), str(staging))
        except OSError:
            if tree.exists() or not staging.exists():  # else it happened and only the reply was lost
                raise


def _links(channel: Channel, files: Sequence[FileEntry], since: State) -> LinkIndex:
    """Look for the files in the channel's releases, the current one first, then from the newest on."""
    candidates = sorted(since.live, key=lambda r: (r.id == since.current, r.id), reverse=True)

    def releases() -> Iterator[tuple[LinkSource, tuple[FileEntry, ...]]]:
        for release in candidates:
            if release.bad is not None:
                continue
            try:
                listed = read_files(channel, release.id, read_manifest(channel, release.id))
                yield LinkSource.of(channel.release_path(release.id)), listed
            except (EfsprovError, OSError):
                continue  # a damaged release is nothing to link from

    return LinkIndex.build(files, releases())


def _outcome(report: CopyReport) -> str:
    parts = [f"{report.written_files} files written ({report.written_bytes / 1e6:.0f} MB)"]
    if report.linked_files:
        parts.append(f"{report.linked_files} linked ({report.linked_bytes / 1e6:.0f} MB)")
    if report.kept_files:
        parts.append(f"{report.kept_files} kept from a run that was stopped")
    return ", ".join(parts)
