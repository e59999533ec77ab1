"""Fills two caches of the standard library with what it would ask the file system for, once a module at a time.

`inspect.getmodule` resolves the path of every module there is, link by link, when it first meets the module: about a
thousand requests when torch is imported over NFS. What came from a release has a canonical path, to which no link
leads. `linecache` reads whole sources for a line or two: TensorFlow quotes a line of each file that registers an
operation. Where the builder saw that, the text is in a pack (CPython 3.9 to 3.14).
"""

import sys

from efsprov.bootstrap._index import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ModuleType = type(sys)


class Caches:
    """Modules that have been found and of which the standard library has not been told yet.

    INDEX's ``lines`` say of which sources, relative to the site, the text is in a pack, and the source's own size;
    ``linked`` whether there are symbolic links in the release: then a file may have several paths, and `inspect` is told
    nothing.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._linked = index.linked
        self._lines = index.lines
        self._prefix = len(index.site) + 1
        self._found: "list[tuple[str, str]]" = []
        self._quoted: "list[str]" = []

    def note(self, name: str, path: str) -> None:
        """Module NAME is going to be loaded from the file at PATH."""
        if not self._linked:
            self._found.append((name, path))
        if path[self._prefix :] in self._lines:
            self._quoted.append(path)

    def fill(self) -> None:
        """Tell of what has been loaded since the last time, as far as anybody could ask."""
        inspect = _namespace("inspect")
        files, modules = inspect.get("_filesbymodname"), inspect.get("modulesbyfile")
        if isinstance(files, dict) and isinstance(modules, dict):
            found, self._found = self._found, []
            for name, path in found:
                module = sys.modules.get(name)
                if isinstance(module, ModuleType) and vars(module).get("__file__") == path:
                    files[name] = path
                    modules[path] = vars(module).get("__name__", name)
        if self._quoted:
            cache = _namespace("linecache").get("cache")
            if isinstance(cache, dict):
                quoted, self._quoted = self._quoted, []
                for path in quoted:
                    self._enter(cache, path)

    def _enter(self, cache: "dict[str, Any]", path: str) -> None:
        where, size = self._lines[path[self._prefix :]]
        text = self._index.read(*where)
        if text is not None and len(cache.get(path, ())) < 2:  # absent, or only a promise to look for it
            lines = str(text, "utf-8").split("\n")
            last = lines.pop()  # what the builder saw ends with a line end
            # Without a time of change, as of what a loader gave: `linecache.checkcache` would ask for each file's again and
            # again, more than two thousand times while TensorFlow is imported, and a release never changes.
            cache[path] = (size, None, [line + "\n" for line in lines] + [last] * bool(last), path)


def _namespace(module: str) -> "dict[str, Any]":
    return vars(sys.modules[module]) if isinstance(sys.modules.get(module), ModuleType) else {}
