"""What the folders of a tree hold for importing: what the interpreter's own finder would find, without its look-ups.

Loaded by `index.py` in the target's interpreter (3.9 or newer), so it imports nothing of efsprov.
"""

# A few thousand folders: pathlib would be felt.
# ruff: noqa: PTH118

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Suffixes = Sequence[tuple[str, int]]


class Folder:
    """Names in one folder: ``files``, and ``folders`` for each folder in it. ``linked`` where there are symbolic links."""

    __slots__ = ("files", "folders", "linked", "path")

    def __init__(self, site: str, path: str) -> None:
        self.path = path
        self.files: "set[str]" = set()
        self.folders: "dict[str, Folder]" = {}
        self.linked = False
        names = []
        with os.scandir(os.path.join(site, path)) as listed:
            for entry in listed:
                if entry.is_symlink():
                    self.linked = True
                elif entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    self.files.add(entry.name)
        for name in sorted(names):
            self.folders[name] = Folder(site, os.path.join(path, name))

    def walk(self) -> "Iterator[Folder]":
        """Itself and all folders below."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()

    def entries(self, suffixes: "Suffixes", *, namespace: int, unknown: int) -> "dict[str, tuple[int, str]]":
        """{name: (kind, path from the folder)} of what can be imported from here.

        SUFFIXES are (end of a file's name, kind), in the order in which the finder tries them. A package comes before a
        module, a module before a folder without ``__init__``, which is of kind NAMESPACE. Folders that hold links are of
        kind UNKNOWN: what an index says of a path would not be true of a link.
        """
        found: "dict[str, tuple[int, str]]" = {}
        for suffix, kind in reversed(suffixes):  # what is tried first has the last word
            for file in self.files:
                name = file[: -len(suffix)]
                if file.endswith(suffix) and name and "." not in name:
                    found[name] = (kind, file)
        for name, folder in self.folders.items():
            if "." in name:
                continue
            if folder.linked:
                found[name] = (unknown, name)
                continue
            start = next((entry for entry in suffixes if "__init__" + entry[0] in folder.files), None)
            if start:
                found[name] = (start[1], f"{name}/__init__{start[0]}")
            else:
                found.setdefault(name, (namespace, name))
        return dict(sorted(found.items()))
