"""Lets `importlib.metadata` find a release's distributions, and read what it asks of them, in the index.

The standard path finder keeps one `FastPath` a folder and asks it for the names in the folder (CPython 3.10 to 3.14).
The release's gets its names and paths from the index; all else is the standard library's own work, in its own order.
An interpreter that goes about it in another way looks at the files, as it would anyway.
"""

import errno
import os
import pathlib
import sys
from importlib import metadata

from efsprov.bootstrap._index import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

_SERVED = "_efsprov_index"


def serve(index: Index, context: object) -> None:
    """Have the distributions of INDEX's site found without a look at it, if a search in CONTEXT comes there."""
    fast_path: "Any" = getattr(metadata, "FastPath", None)
    kept = hasattr(getattr(fast_path, "__new__", None), "cache_info")  # the same object for a folder each time
    if index.site not in getattr(context, "path", ()) or not kept or not hasattr(fast_path, "children"):
        return
    folder = fast_path(index.site)
    if vars(folder).get(_SERVED) is not index:
        known = index.distributions()
        folder.children = lambda: list(known)
        folder.joinpath = lambda name: (
            _path(index, name, known[name]) if name in known else pathlib.Path(index.site, name)
        )
        setattr(folder, _SERVED, index)


def _path(index: Index, info: str, known: "tuple[tuple[str, ...], dict[str, Any]]") -> pathlib.Path:
    path = _InfoPath(index.site, info)
    path.known = (index, *known)
    return path


class _PosixPath(pathlib.PosixPath):
    """Looks like a path of the standard library, and everything that is made from it is one."""

    known: "Optional[tuple[Any, ...]]" = None

    if sys.version_info >= (3, 12):

        def with_segments(self, *segments: "str | os.PathLike[str]") -> pathlib.PosixPath:  # type: ignore[override]
            return pathlib.PosixPath(*segments)

    else:
        _from_parsed_parts = pathlib.PosixPath._from_parsed_parts  # type: ignore[attr-defined]  # noqa: SLF001

    def __reduce__(self) -> "tuple[Callable[..., object], tuple[object, ...]]":
        return pathlib.PosixPath, (str(self),)


class _InfoPath(_PosixPath):
    """The path of a metadata folder: the files in it that are asked for by name are known."""

    def joinpath(self, *names: "str | os.PathLike[str]") -> pathlib.PosixPath:  # type: ignore[override]
        path = pathlib.PosixPath(self, *names)
        if self.known and len(names) == 1 and isinstance(names[0], str):
            index, listed, texts = self.known
            if names[0] in texts or ("/" not in names[0] and names[0] not in listed):
                path = _TextPath(path)
                path.known = (index, texts.get(names[0]))
        return path


class _TextPath(_PosixPath):
    """The path of a file whose text is in a pack, or that does not exist."""

    def read_text(self, encoding: "Optional[str]" = None, *args: "Any", **kwargs: "Any") -> str:
        if self.known and encoding == "utf-8" and not args and not kwargs:
            index, where = self.known
            if where is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
            data = index.read(*where)
            if data is not None:
                return str(data, "utf-8")
        return super().read_text(encoding, *args, **kwargs)


for _class in (_PosixPath, _InfoPath, _TextPath):
    _class.__name__ = _class.__qualname__ = "PosixPath"  # what repr() prints
    _class.__module__ = pathlib.PosixPath.__module__
