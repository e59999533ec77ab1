"""Tells by which names a distribution is imported, from the files that it installs."""

import re
from collections.abc import Iterable
from typing import Final

from packaging.utils import canonicalize_name

_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)?\.so)")
# Top-level names that wheels install by mistake, or that are not API.
_BESIDES: Final = {
    *("test", "tests", "testing", "doc", "docs", "example", "examples", "sample", "samples", "benchmark", "benchmarks"),
    *("bin", "scripts", "include", "share", "etc", "src", "build", "tools", "third_party"),
}


def import_names(name: str, files: Iterable[str], top_level: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the import names of the distribution ``name``, best first; empty where it holds no module.

    ``files`` are its paths in the site, ``top_level`` the lines of its `top_level.txt`, where it has one. A namespace
    package is not importable proof of anything: its packages are named instead (protobuf is `google.protobuf`). Where
    one name is the distribution's own, the others are helpers and left out.
    """
    tree = _tree(files)
    public = [top for top in sorted(tree) if not top.startswith("_") and top not in _BESIDES]
    result = set(top_level) & set(public)
    names = [found for top in (sorted(result) or public) for found in _packages(top, tree[top])]
    own = [found for found in names if canonicalize_name(found.replace(".", "-")) == canonicalize_name(name)]
    return tuple(own or names)


class _Folder(dict[str, "_Folder"]):
    """What is importable in a folder, by name; a module is an empty folder. ``regular``: it has an `__init__`."""

    regular = False


def _tree(files: Iterable[str]) -> _Folder:
    top = _Folder()
    for path in files:
        *parents, last = path.split("/")
        match = _MODULE.fullmatch(last)
        if match is None or not all(parent.isidentifier() for parent in parents):
            continue
        folder = top
        for parent in parents:
            folder = folder.setdefault(parent, _Folder())
        if match[1] == "__init__":
            folder.regular = True
        else:
            folder.setdefault(match[1], _Folder())
    return top


def _packages(name: str, folder: _Folder) -> list[str]:
    """Return ``name`` itself where it is a module or a package, else what lies in that namespace."""
    if folder.regular or not folder:
        return [name]
    inner = [child for child in sorted(folder) if not child.startswith("_")]
    return [found for child in inner for found in _packages(f"{name}.{child}", folder[child])]
