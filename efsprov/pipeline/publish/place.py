"""Brings the composed tree into staging on the root: by a move where that is the same file system, else by a copy."""

from collections.abc import Sequence
from pathlib import Path

from efsprov.core.filelist import FileEntry
from efsprov.core.history import State
from efsprov.core.manifest import Figures
from efsprov.core.wording import pluralize
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.copying.copy import CopyLimits, CopyReport, copy_tree
from efsprov.store.copying.source import TreeSource
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.remove import remove_tree
from efsprov.store.layout import Channel
from efsprov.store.link_search import find_links
from efsprov.store.publisher_lock import PublisherLock


def place(
    lock: PublisherLock, tree: Path, files: Sequence[FileEntry], staging: Path, since: State, steps: ProgressReporter
) -> Figures:
    """Make ``staging`` hold exactly ``files`` of ``tree``, and return what was written and linked.

    On one file system the tree itself becomes the staging folder. Elsewhere it is copied, and what a release on the root
    has already is linked.
    """
    channel = lock.channel
    if tree.stat().st_dev != channel.staging.stat().st_dev:
        return copy_to_staging(lock, tree, files, staging, since, steps)
    with steps.step("copy") as step:
        _move(channel, tree, staging)
        step.outcome = f"moved {pluralize(len(files), 'file')}"
    return Figures(files=len(files), bytes=sum(entry.size for entry in files))


def copy_to_staging(
    lock: PublisherLock,
    source: Path | TreeSource,
    files: Sequence[FileEntry],
    staging: Path,
    since: State,
    steps: ProgressReporter,
    *,
    limits: CopyLimits | None = None,
) -> Figures:
    """Make ``staging`` hold exactly ``files`` of ``source``, linked where a release on the root has them; see ``copy_tree``."""
    channel = lock.channel
    with steps.step("copy") as step:
        report = copy_tree(
            source,
            staging,
            files,
            ops=channel.ops,
            links=find_links(channel, files, since),
            progress=lambda p: step.bytes(
                p.bytes_done, p.bytes_total, str(p), rate=p.rate, seconds_left=p.seconds_left
            ),
            check=lock.assert_held,
            limits=limits,
        )
        step.outcome = _outcome(report)
    return Figures(
        files=report.files, bytes=report.bytes, linked_files=report.linked_files, linked_bytes=report.linked_bytes
    )


def _move(channel: Channel, tree: Path, staging: Path) -> None:
    remove_tree(channel.ops, staging)
    with translate_os_errors("Moving the release into staging", staging):
        try:
            channel.ops.rename(str(tree), str(staging))
        except OSError:
            if tree.exists() or not staging.exists():  # else it happened and only the reply was lost
                raise


def _outcome(report: CopyReport) -> str:
    parts = [f"{pluralize(report.written_files, 'file')} written ({report.written_bytes / 1e6:.0f} MB)"]
    if report.linked_files:
        parts.append(f"{report.linked_files} linked ({report.linked_bytes / 1e6:.0f} MB)")
    if report.kept_files:
        parts.append(f"{report.kept_files} kept from a run that was stopped")
    return ", ".join(parts)
