"""Looks into a wheel before it is installed: its archive, its RECORD and its metadata must agree, and stay in bounds."""

import email.parser
import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name, canonicalize_version

from efsprov.core.errors import BuildError
from efsprov.core.filelist import is_inside, unfit_for_a_root
from efsprov.core.lock import LockedPackage
from efsprov.core.record import RecordEntry, parse_record
from efsprov.core.zip_members import is_folder
from efsprov.pipeline.stage.zip_layout import LayoutError, check_layout, is_regular

LARGE: Final = 64 << 10
_GIB: Final = 1 << 30
_METADATA_LIMIT: Final = 64 << 20
_HINT: Final = "The wheel is damaged or was tampered with: take another version, or ask who made it."
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
# What zipfile and its decompressors raise for archives that are damaged, encrypted or of a kind that they do not know.
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, LayoutError, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError),
    *(zlib.error, lzma.LZMAError, struct.error, OverflowError),
)
_SCRIPTS: Final = ("console_scripts", "gui_scripts")


@dataclass(frozen=True)
class Limits:
    """How much a wheel may hold: ``unpacked`` bytes, ``ratio`` times its own size (from 1 GiB on), ``members``."""

    unpacked: int = 64 * _GIB
    ratio: int = 100
    members: int = 500_000


@dataclass(frozen=True)
class Wheel:
    """What an installed wheel must be. ``files`` maps each path that it puts into the site to its hash.

    ``scripts`` are those in `bin`, which installers rewrite or generate; ``headers`` go where the installer puts them.
    ``requires`` are the names of what it depends on without extras, under whatever conditions; ``size`` is unpacked, in bytes,
    ``large`` that of each path with more than 64 KiB.
    """

    name: str
    version: str
    filename: str
    dist_info: str
    files: Mapping[str, RecordEntry] = field(repr=False)
    scripts: frozenset[str]
    headers: frozenset[str]
    requires: tuple[str, ...]
    size: int
    large: Mapping[str, int] = field(default_factory=dict, repr=False)


def inspect(path: Path, package: LockedPackage, limits: Limits = Limits()) -> Wheel:
    """Read the wheel at ``path``, locked as ``package``; raises ``BuildError`` for whatever is not as it must be.

    Refused are absolute paths and `..`, members that come twice, links, data outside of the zip or overlapping in it,
    more than ``limits``, a RECORD that lists what is not there or lacks what is, and another name or version than the
    lock's. The members' hashes are compared when they are installed, except of those that installers rewrite.
    """
    filename = package.file.filename
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not is_folder(m)]
            _check_members(archive.infolist(), path, filename, limits)
            check_layout(path, archive.infolist())
            return _read(archive, {m.filename: m for m in members}, package)
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}.", hint="Run the command again.") from error
    except _UNREADABLE as error:
        raise _refused(filename, f"as a zip file: {error or type(error).__name__}") from error


def _check_members(members: list[zipfile.ZipInfo], path: Path, filename: str, limits: Limits) -> None:
    if len(members) > limits.members:
        raise _refused(filename, f"it has {len(members)} members, more than {limits.members}")
    seen: set[str] = set()
    for member in members:
        name = member.filename.removesuffix("/") if is_folder(member) else member.filename
        if member.orig_filename != member.filename or "\\" in name or not is_inside(name):
            raise _refused(filename, f"{member.orig_filename!r} is not a path inside it")
        if reason := unfit_for_a_root(name):
            raise _refused(filename, f"{name[:80]}: {reason}")
        if name in seen:
            raise _refused(filename, f"{name} is in it twice")
        if not is_folder(member) and not is_regular(member):
            raise _refused(filename, f"{name} is a link, a device or encrypted")
        seen.add(name)
    unpacked = sum(member.file_size for member in members)
    allowed = min(limits.unpacked, max(_GIB, limits.ratio * path.stat().st_size))
    if unpacked > allowed:
        raise _refused(filename, f"it unpacks to {unpacked / 1e9:.1f} GB, more than {allowed / 1e9:.1f} GB")


def _read(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], package: LockedPackage) -> Wheel:
    filename = package.file.filename
    dist_info = _dist_info(members, filename)
    texts = {}
    for name in ("METADATA", "WHEEL", "RECORD"):
        member = members.get(f"{dist_info}/{name}")
        if member is None or member.file_size > _METADATA_LIMIT:
            raise _refused(
                filename, f"{dist_info}/{name} is not in it" if member is None else f"its {name} is too large"
            )
        texts[name] = archive.read(member).decode("utf-8")
    metadata = email.parser.HeaderParser().parsestr(texts["METADATA"])
    name, version = str(metadata["Name"]), str(metadata["Version"])
    if (canonicalize_name(name), canonicalize_version(version)) != (
        package.name,
        canonicalize_version(package.version),
    ):
        raise _refused(filename, f"it holds {name} {version}, the lock says {package.name} {package.version}")
    record = parse_record(texts["RECORD"], dist_info=dist_info, where=filename)
    _compare(record, set(members), filename, dist_info)
    wheel = _spread(archive, record, package, dist_info)
    needs = (str(text) for text in metadata.get_all("Requires-Dist", ()))
    requires = dict.fromkeys(
        canonicalize_name(match[0]) for text in needs if (match := _NAME.match(text)) and "extra ==" not in text
    )
    large = {path: m.file_size for path, m in members.items() if m.file_size > LARGE and path in wheel.files}
    size = sum(m.file_size for m in members.values())
    return replace(wheel, requires=tuple(requires), size=size, large=large)


def _dist_info(members: Mapping[str, object], filename: str) -> str:
    name, version = filename.split("-")[:2]
    found = {top for top in (path.partition("/")[0] for path in members) if top.endswith(".dist-info")}
    if len(found) != 1:
        raise _refused(filename, f"it has {len(found)} .dist-info folders")
    dist_info = found.pop()
    its_name, _, its_version = dist_info.removesuffix(".dist-info").partition("-")
    if canonicalize_name(its_name) != canonicalize_name(name) or canonicalize_version(
        its_version
    ) != canonicalize_version(version.replace("%2B", "+").replace("_", "-")):
        raise _refused(filename, f"its folder {dist_info} is of another name or version")
    return dist_info


def _compare(record: Mapping[str, RecordEntry], members: set[str], filename: str, dist_info: str) -> None:
    signatures = {f"{dist_info}/RECORD.jws", f"{dist_info}/RECORD.p7s"}
    if ghosts := sorted(record.keys() - members):
        raise _refused(filename, f"its RECORD lists {ghosts[0]}, which is not in it")
    if unlisted := sorted(members - record.keys() - signatures):
        raise _refused(filename, f"{unlisted[0]} is in it, but not in its RECORD")


def _spread(
    archive: zipfile.ZipFile, record: Mapping[str, RecordEntry], package: LockedPackage, dist_info: str
) -> Wheel:
    """Say where each member goes (binary distribution format, "Spreading")."""
    filename, data = package.file.filename, dist_info.removesuffix(".dist-info") + ".data/"
    files: dict[str, RecordEntry] = {}
    scripts: set[str] = set()
    headers: set[str] = set()
    for path, entry in record.items():
        if not path.startswith(data):
            files[path] = entry
            continue
        scheme, _, rest = path.removeprefix(data).partition("/")
        if scheme in {"purelib", "platlib", "data"} and rest:
            if rest in record or rest in files:
                raise _refused(filename, f"{rest} is in it twice, once under {data}")
            if rest.partition("/")[0].lower().endswith((".dist-info", ".egg-info")):
                raise _refused(filename, f"{path} would pass for the metadata of another distribution")
            files[rest] = entry
        elif scheme in {"scripts", "headers"} and rest:
            _check_hash(archive, path, entry, filename)
            (scripts if scheme == "scripts" else headers).add(f"bin/{rest}" if scheme == "scripts" else rest)
        else:
            raise _refused(filename, f"nobody knows where {path} goes")
    points = f"{dist_info}/entry_points.txt"
    if points in record:
        scripts |= {f"bin/{name}" for name in _script_names(archive.read(points).decode("utf-8"))}
    names = package.name, package.version, filename, dist_info
    return Wheel(*names, files, frozenset(scripts), frozenset(headers), requires=(), size=0)


def _script_names(text: str) -> list[str]:
    """Return the commands of an entry_points.txt, which is an INI file with `=` between name and object."""
    names, section = [], ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section in _SCRIPTS and "=" in line and not line.startswith(("#", ";")):
            names.append(line.partition("=")[0].strip())
    return names


def _check_hash(archive: zipfile.ZipFile, path: str, entry: RecordEntry, filename: str) -> None:
    if hashlib.new(entry.algorithm, archive.read(path)).hexdigest() != entry.digest:
        raise _refused(filename, f"{path} has another hash than its RECORD says")


def _refused(filename: str, what: str) -> BuildError:
    return BuildError(f"{filename} is refused: {what}.", hint=_HINT)
