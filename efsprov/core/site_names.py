"""Judges the names that stand at the top of a site: what they would shadow, and what they would run."""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Modules that left the standard library, and with which version: from then on a package may well bring them back.
_GONE: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(("binhex",), (3, 11)),
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), (3, 12)),
    **dict.fromkeys(("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"), (3, 13)),
    **dict.fromkeys(("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau"), (3, 13)),
    **dict.fromkeys(("telnetlib", "uu", "xdrlib"), (3, 13)),
}
# Modules that came later than CPython 3.9: before, a package of that name is a backport.
_NEW: Final[dict[str, tuple[int, int]]] = {
    "tomllib": (3, 11), "annotationlib": (3, 14), "compression": (3, 14), "_zstd": (3, 14),
}  # fmt: skip
_AT_STARTUP: Final = {"sitecustomize", "usercustomize"}
# All suffixes of `importlib.machinery.all_suffixes()` on Linux.
_MODULE = re.compile(r"([^./]+)(?:\.pyc?|(?:\.[\w-]+)?\.so)")
# .pth files that honest wheels bring; a package that needs one of them works without where it is imported by name.
_KNOWN_PTH: Final = re.compile(r"distutils-precedence\.pth|.*-nspkg\.pth")


@dataclass(frozen=True)
class SiteNames:
    """Top-level names of a site: ``refused`` and ``remarks`` are sentences."""

    refused: tuple[str, ...]
    remarks: tuple[str, ...]


def judge_site_names(paths: Iterable[str], python: str) -> SiteNames:
    """Look at the ``paths`` of a site for an interpreter ``python`` ("3.11").

    A module that shadows one of the standard library, or that an interpreter would run when it starts, is refused. A
    `.pth` file is remarked on: its lines are run for site-packages, and a site is none.
    """
    version = tuple(int(part) for part in python.split("."))
    refused, remarks, packages = [], [], set()
    for path in paths:
        top, slash, _ = path.partition("/")
        if slash and (not path.endswith((".py", ".pyc", ".so")) or top in packages):
            continue
        if slash:
            packages.add(top)
        match = None if slash else _MODULE.fullmatch(top)
        name = top if slash else match[1] if match else ""
        if name in _AT_STARTUP:
            refused.append(f"{path} would be run by every interpreter that finds it when it starts")
        elif _in_standard_library(name, version):
            refused.append(f"{path} would take the place of the standard library's {name}")
        elif not slash and top.endswith(".pth") and not _KNOWN_PTH.fullmatch(top):
            remarks.append(f"{top} has no effect in a release: .pth files work in site-packages only.")
    return SiteNames(tuple(refused), tuple(remarks))


def _in_standard_library(name: str, version: tuple[int, ...]) -> bool:
    if name in _NEW:
        return version >= _NEW[name]
    if name in _GONE:
        return version < _GONE[name]
    return name in sys.stdlib_module_names
