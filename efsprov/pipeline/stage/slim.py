"""Leaves out of an installed site what `--slim` names, and keeps its RECORDs right."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from efsprov.core import filelist
from efsprov.core.filelist import FileEntry
from efsprov.core.slim import DEBUG, Saving, rewrite_record, select
from efsprov.pipeline.stage.strip import strip_tree


@dataclass(frozen=True)
class Slimmed:
    """What a site was relieved of: by rule how much, and which files.

    ``hashes`` has the SHA-256 of every file that is left, by path. ``remarks`` names libraries that could not be
    stripped.
    """

    hashes: dict[str, str]
    saved: dict[str, Saving] = field(default_factory=dict)
    left_out: tuple[FileEntry, ...] = ()
    remarks: tuple[str, ...] = ()


def slim_site(site: Path, rules: Collection[str], *, hashes: Mapping[str, str]) -> Slimmed:
    """Take out of ``site`` what ``rules`` name. ``hashes`` has the SHA-256 of every file in it, by path.

    A file that changes is written again and renamed into place: what was there may be a hard link into an installer's
    cache. Raises ``BuildError`` when debug sections are to be taken out and there is no tool for it.
    """
    saved: defaultdict[str, Saving] = defaultdict(Saving)
    left_out = []
    for path, rule in sorted(select(hashes.keys(), rules).items()):
        status = os.lstat(site / path)
        left_out.append(FileEntry(path, status.st_size, hashes[path], status.st_mode & 0o777))
        saved[rule] += Saving(1, status.st_size)
        (site / path).unlink()
    gone = {entry.path for entry in left_out}
    left = {path: sha256 for path, sha256 in hashes.items() if path not in gone}
    changed: dict[str, tuple[str, int]] = {}
    remarks: tuple[str, ...] = ()
    if DEBUG in rules:
        stripped = strip_tree(site, left)
        remarks = stripped.remarks
        for path, (sha256, before, after) in stripped.changed.items():
            changed[path] = (sha256, after)
            saved[DEBUG] += Saving(1, before - after)
    left |= {path: sha256 for path, (sha256, _) in changed.items()}
    left |= _rewrite_records(site, left, gone, changed)
    return Slimmed(left, dict(saved), tuple(left_out), remarks)


def left_out_list(left_out: Sequence[FileEntry], *, below: str) -> str:
    """Write what was left out as a file list, with paths as they would be in the release (``below`` is its folder)."""
    return filelist.dump(FileEntry(f"{below}/{e.path}", e.size, e.sha256, e.mode) for e in left_out)


def _rewrite_records(
    site: Path, paths: Collection[str], gone: Collection[str], changed: Mapping[str, tuple[str, int]]
) -> dict[str, str]:
    hashes = {}
    for path in paths:
        if not path.endswith(".dist-info/RECORD") or path.count("/") != 1:
            continue
        before = (site / path).read_text("utf-8")
        after = rewrite_record(before, without=gone, changed=changed)
        if after != before:
            replace_file(site / path, after.encode("utf-8"))
            hashes[path] = hashlib.sha256(after.encode("utf-8")).hexdigest()
    return hashes


def replace_file(path: Path, content: bytes) -> None:
    """Put a new file with ``content`` and the same mode in the place of ``path``; other names of it stay as they are."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.chmod(path.stat().st_mode & 0o777)
    beside.replace(path)
