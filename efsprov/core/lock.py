"""The lock: which file of which package a release is made of, with its hash; read and written as `pylock.toml`."""

import hashlib
import json
import posixpath
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, unquote, urlunsplit

from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel, Pylock, PylockValidationError
from packaging.utils import canonicalize_name

from efsprov.core.errors import ResolveError
from efsprov.core.target import Target
from efsprov.core.urls import split_url
from efsprov.core.wheels import rank

NAME: Final = "pylock.toml"
_HINT: Final = "Resolve again: `efsprov plan` with the same options shows what it would be."


@dataclass(frozen=True, order=True)
class LockedFile:
    """A wheel or an sdist: its name, where it is (no credentials), its SHA-256, its size in bytes where known."""

    filename: str
    url: str
    sha256: str
    size: int | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether it can be installed without running code of its own."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, order=True)
class LockedPackage:
    """A package and the files that it may be installed from; in a finished lock that is one file."""

    name: str
    version: str
    wheels: tuple[LockedFile, ...]
    sdist: LockedFile | None = None

    @property
    def file(self) -> LockedFile:
        """The file that is installed: the first wheel, else the sdist."""
        file = self.wheels[0] if self.wheels else self.sdist
        if file is None:
            raise ResolveError(f"The lock has no file for {self.name} {self.version}.", hint=_HINT)
        return file


@dataclass(frozen=True)
class Lock:
    """The packages of a release, sorted by name. ``target`` is a target's name, empty in a lock of another maker."""

    packages: tuple[LockedPackage, ...]
    target: str = ""

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of target, names, versions and chosen files.

        Where the files were found, when they were uploaded and how the text is laid out do not count.
        """
        chosen = [[p.name, p.version, p.file.filename, p.file.sha256] for p in sorted(self.packages)]
        return hashlib.sha256(json.dumps([self.target, chosen]).encode()).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of all files whose size is known."""
        return sum(p.file.size or 0 for p in self.packages)

    @property
    def local_files(self) -> tuple[LockedFile, ...]:
        """The files that lie on the machine that resolved, and that another builder does not have."""
        return tuple(p.file for p in self.packages if p.file.url.startswith("file:"))

    def with_sizes(self, sizes: Mapping[str, int]) -> "Lock":
        """Return the lock with the sizes, by SHA-256, filled in where it has none."""

        def sized(file: LockedFile) -> LockedFile:
            return file if file.size is not None else replace(file, size=sizes.get(file.sha256))

        return replace(
            self,
            packages=tuple(
                replace(p, wheels=tuple(map(sized, p.wheels)), sdist=sized(p.sdist) if p.sdist else None)
                for p in self.packages
            ),
        )

    def without_queries(self) -> "Lock":
        """Return the lock as it may be stored: a URL's query often is a token, and only the download needs it."""

        def stored(file: LockedFile) -> LockedFile:
            return replace(file, url=urlunsplit(split_url(file.url)._replace(query="")))

        return replace(
            self,
            packages=tuple(
                replace(p, wheels=tuple(map(stored, p.wheels)), sdist=stored(p.sdist) if p.sdist else None)
                for p in self.packages
            ),
        )

    def dump(self) -> str:
        """Write the lock as `pylock.toml` (PEP 751), byte for byte the same for the same content."""
        parts = ['lock-version = "1.0"\ncreated-by = "efsprov"\n' + ("" if self.packages else "packages = []\n")]
        for package in sorted(self.packages):
            lines = ["[[packages]]", f"name = {_toml(package.name)}", f"version = {_toml(package.version)}"]
            if package.wheels:
                lines += ["wheels = [", *(f"    {_dump_file(wheel)}," for wheel in package.wheels), "]"]
            if package.sdist:
                lines.append(f"sdist = {_dump_file(package.sdist)}")
            parts.append("\n".join(lines) + "\n")
        if self.target:
            parts.append(f"[tool.efsprov]\ntarget = {_toml(self.target)}\n")
        return "\n".join(parts)


def parse_lock(text: str, *, where: str = NAME, folder: str = "/") -> Lock:
    """Read a `pylock.toml`; raises ``ResolveError`` naming ``where`` and what in it is not as it must be.

    Relative paths in it are those of ``folder``. Each file must have a SHA-256. Packages from version control or from folders are refused: they have no hash.
    """
    try:
        pylock = Pylock.from_dict(tomllib.loads(text))
        packages = tuple(sorted(_package(package, folder) for package in pylock.packages))
    except (tomllib.TOMLDecodeError, PylockValidationError, ValueError) as error:
        raise ResolveError(f"{where} is not a lock: {error}.", hint=_HINT) from error
    tool: Any = (pylock.tool or {}).get("efsprov") or {}
    names = [package.name for package in packages]
    for name in names:
        if names.count(name) > 1:
            raise ResolveError(f"{where} has {name} twice.", hint=_HINT)
    return Lock(packages, str(tool.get("target", "")))


def select(lock: Lock, target: Target) -> Lock:
    """Keep the one best wheel of each package for ``target``; of a package without one, the sdist or else all wheels.

    The wheels that do not fit stay where nothing else is there, so that the gate can say what they need.
    """
    chosen = []
    for package in lock.packages:
        fitting = [(rank(w.filename, target), w) for w in package.wheels if rank(w.filename, target) is not None]
        if fitting:
            chosen.append(replace(package, wheels=(min(fitting)[1],), sdist=None))
        else:
            chosen.append(replace(package, wheels=() if package.sdist else package.wheels))
    return Lock(tuple(sorted(chosen)), target.name)


def _package(package: Package, folder: str) -> LockedPackage:
    version = str(package.version or "")
    if package.vcs or package.directory:
        raise ResolveError(
            f"{package.name} would come from {'a repository' if package.vcs else 'a folder'}: that has no hash to check.",
            hint="Build a wheel of it and name that: `NAME @ file:///path/to/the.whl`, or use find-links.",
        )
    wheels = [_file(wheel, folder) for wheel in package.wheels or ()]
    sdist = _file(package.sdist, folder) if package.sdist else None
    if package.archive:
        archive = _file(package.archive, folder)
        wheels, sdist = ([archive], None) if archive.is_wheel else ([], archive)
    if not version and wheels:
        version = unquote(wheels[0].filename).split("-")[1]
    return LockedPackage(canonicalize_name(package.name), version, tuple(sorted(wheels)), sdist)


def _file(file: PackageWheel | PackageSdist | PackageArchive, folder: str) -> LockedFile:
    url = _without_credentials(file.url) if file.url else "file://" + quote(posixpath.join(folder, file.path or ""))
    named = None if isinstance(file, PackageArchive) else file.name
    filename = named or unquote(split_url(url).path.rsplit("/", 1)[-1])
    filename = filename.replace("%2B", "+")  # some keep a wheel by the name that it had in a URL
    sha256 = file.hashes.get("sha256", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ResolveError(f"{filename} has no SHA-256 in the lock.", hint="Its index does not give one: use another.")
    if "/" in filename or filename.startswith("."):
        raise ResolveError(f"{filename!r} in the lock is not a file name.", hint=_HINT)
    return LockedFile(filename, url, sha256, file.size)


def _without_credentials(url: str) -> str:
    parts = split_url(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1], fragment=""))


def _dump_file(file: LockedFile) -> str:
    size = f", size = {file.size}" if file.size is not None else ""
    hashes = f"{{ sha256 = {_toml(file.sha256)} }}"
    return f"{{ name = {_toml(file.filename)}, url = {_toml(file.url)}{size}, hashes = {hashes} }}"


def _toml(text: str) -> str:
    return json.dumps(text)  # a TOML basic string has JSON's escapes
