"""Holds an installed site against its wheels: nothing is missing, nothing is there that no RECORD lists."""

import os
import re
import stat
from collections.abc import Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.core.errors import BuildError
from efsprov.core.record import RecordEntry
from efsprov.core.site_names import judge_site_names
from efsprov.core.target import Target
from efsprov.pipeline.stage.hashing import HashedFile, Identity, hash_files
from efsprov.pipeline.stage.inspect_wheel import Wheel

_HINT: Final = "Nothing was published. Take another version of it, or ask who made it."
# What installers write themselves, PEP 376 and PEP 627; the rest of what they add, staging removes.
_GENERATED: Final = ("INSTALLER", "RECORD")
# Files at the top or in folders that wheels install by mistake: two of a name harm nobody.
_HARMLESS = re.compile(
    r"[^/]*\.(md|rst|txt|toml|cfg|ini)|(LICENSE|LICENCE|README|NOTICE|AUTHORS|CHANGELOG|COPYING)[^/]*"
    r"|(tests?|docs?|examples?|benchmarks?|scripts|share|licenses)/.*"
)


class WrongContentError(BuildError):
    """Files of a site have other hashes than the RECORDs of ``wheels`` (names of distributions) say."""

    def __init__(self, path: str, wheel: Wheel, wheels: frozenset[str]) -> None:
        super().__init__(f"{path} is not what the RECORD of {wheel.filename} says: its hash differs.", hint=_HINT)
        self.path = path
        self.wheels = wheels


@dataclass(frozen=True)
class CheckedSite:
    """A site that is what its wheels say. ``hashes`` has the SHA-256 of every file, ``sizes`` bytes by distribution.

    ``libraries`` maps each ELF file to the wheel that it came with.
    """

    hashes: dict[str, str]
    sizes: dict[str, int]
    libraries: dict[str, Wheel]
    remarks: tuple[str, ...]


def check_site(
    site: Path, wheels: Sequence[Wheel], target: Target, *, known: Mapping[str, HashedFile] = {}
) -> CheckedSite:
    """Compare every file under ``site`` with the RECORDs of ``wheels``, all that were installed into it.

    ``known`` are files of it that were hashed just before (see `HashAhead`).

    Raises ``WrongContentError`` for a file with another hash; ``BuildError`` for one that is missing, that no wheel
    lists or that is not a regular file, for two wheels that disagree on what a file holds, and for names that would take
    over the interpreter.
    """
    remarks: list[str] = []
    expected = _expected(wheels, remarks)
    present = dict(_walk(str(site), ""))
    names = judge_site_names(present, target.python)
    if names.refused:
        raise BuildError(f"{names.refused[0]}: it is refused.", hint=_HINT)
    _compare_names(present.keys(), expected, wheels)
    hashed = {path: file for path, file in known.items() if present.get(path) == file.identity}
    rest = {path: there.size for path, there in present.items() if path not in hashed}
    hashed |= hash_files(site, rest, {path: entry.algorithm for path, (entry, _) in expected.items()})
    wrong = {
        path: wheel for path, (entry, wheel) in expected.items() if entry.digest and hashed[path].digest != entry.digest
    }
    for path, wheel in wrong.items():
        raise WrongContentError(path, wheel, frozenset(other.name for other in wrong.values()))
    owners = {path: wheel for path, (_, wheel) in expected.items()}
    return CheckedSite(
        hashes={path: file.sha256 for path, file in hashed.items()},
        sizes=_sizes(hashed, owners),
        libraries={path: owners[path] for path, file in hashed.items() if file.is_elf and path in owners},
        remarks=(*remarks, *names.remarks),
    )


def _expected(wheels: Sequence[Wheel], remarks: list[str]) -> dict[str, tuple[RecordEntry, Wheel]]:
    """Join what the wheels install. Installers keep one of two different files in silence; here that is refused."""
    expected: dict[str, tuple[RecordEntry, Wheel]] = {}
    for wheel in wheels:
        for path, entry in wheel.files.items():
            other = expected.setdefault(path, (entry, wheel))
            if other[1] is wheel or (other[0] == entry and entry.digest):
                continue
            both = f"{other[1].filename} and {wheel.filename} both install {path}, with different content"
            if not _HARMLESS.fullmatch(path):
                raise BuildError(
                    f"{both}.",
                    hint=f"They cannot both be in one release. Leave one of them out; where another package asks for it, write `{other[1].name}` "
                    "into a file, and set UV_EXCLUDE to that file.",
                )
            # Which one is kept depends on the installer: any hash will do.
            expected[path] = (RecordEntry("", ""), wheel)
            remarks.append(f"{both}; one of them is kept.")
    return expected


def _compare_names(
    present: KeysView[str], expected: dict[str, tuple[RecordEntry, Wheel]], wheels: Sequence[Wheel]
) -> None:
    missing = sorted(expected.keys() - present)
    if missing:
        wheel = expected[missing[0]][1]
        raise BuildError(f"{missing[0]} of {wheel.filename} was not installed.", hint=_HINT)
    generated = {f"{wheel.dist_info}/{name}" for wheel in wheels for name in _GENERATED}
    scripts = {script for wheel in wheels for script in wheel.scripts}
    headers = {header for wheel in wheels for header in wheel.headers}
    for path in sorted(present - expected.keys() - generated - scripts):
        if path.startswith("include/") and any(path.endswith(f"/{header}") for header in headers):
            continue
        raise BuildError(f"{path} was installed, but no wheel's RECORD lists it.", hint=_HINT)


def _sizes(hashed: dict[str, HashedFile], owners: dict[str, Wheel]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for path, wheel in owners.items():
        sizes[wheel.name] = sizes.get(wheel.name, 0) + hashed[path].size
    return sizes


def _walk(top: str, folder: str) -> Iterator[tuple[str, Identity]]:
    """Give each file's path, and which file it is."""
    with os.scandir(f"{top}/{folder}" if folder else top) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(top, path)
                continue
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise BuildError(f"{path} is neither a file nor a folder: it is refused.", hint=_HINT)
            yield path, Identity.of(status)
