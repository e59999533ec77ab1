"""Answers the import system for a release's folders from its index, as the standard finder would from the disk.

What it finds are the standard loaders' own specs, with real paths: `inspect`, `pkgutil`, `importlib.resources`,
`runpy`, tracebacks and `pickle` see nothing else than without it. `find_spec` follows CPython's `FileFinder` (3.9 to
3.14): a regular package before a module before a namespace package, extensions before sources before bytecode.
"""

import _imp
import marshal
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import (
    BYTECODE_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
    spec_from_file_location,
)
from _functools import partial  # type: ignore[import-not-found]

from efsprov.bootstrap._caches import Caches
from efsprov.bootstrap._collection import postpone
from efsprov.bootstrap._index import BYTECODE, EXTENSION, NAMESPACE, PACKED, SOURCE, UNKNOWN, Index, UnusableError, tell
from efsprov.bootstrap._readahead import ReadAhead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, ModuleType
    from typing import Any, Optional

_LOADERS: "dict[int, Any]" = {
    PACKED: SourceFileLoader,
    SOURCE: SourceFileLoader,
    EXTENSION: ExtensionFileLoader,
    BYTECODE: SourcelessFileLoader,
}
# As importlib sets up its own path hook.
_DETAILS = (
    (ExtensionFileLoader, _imp.extension_suffixes()),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)
# What a plain import would call, as it was when this was imported. A program that puts something else in the place of one
# of them (tracers, hy, freezers) wants to be called for every module: then nothing of the index stands in its way.
_FROZEN = "<frozen importlib"
_CALLED = (
    *(
        (SourceFileLoader, name, getattr(SourceFileLoader, name))
        for name in (
            *("get_code", "exec_module", "create_module", "source_to_code", "get_data", "get_filename", "path_stats"),
            *("_cache_bytecode", "set_data"),
        )
    ),
    (FileFinder, "find_spec", FileFinder.find_spec),
)
_STANDARD = all(
    getattr(getattr(method, "__code__", None), "co_filename", "").startswith(_FROZEN) for _, _, method in _CALLED
)


def _loaders_are_plain() -> bool:
    """Whether the standard loaders and finder are as Python brought them."""
    if not _STANDARD:
        return False
    for owner, name, method in _CALLED:  # noqa: SIM110 - no generator: this runs for each module
        if getattr(owner, name) is not method:
            return False
    return True


def _suffixes_are_plain() -> bool:
    """Whether modules are called what the index knows: a program may add suffixes of its own."""
    return SOURCE_SUFFIXES == [".py"] and BYTECODE_SUFFIXES == [".pyc"]


def _is_standard(hook: object) -> bool:
    """Whether HOOK is the standard one for folders, and not another class's or one with loaders of a program's own."""
    code = getattr(hook, "__code__", None)
    if not getattr(code, "co_filename", "").startswith(_FROZEN):
        return False
    cells = [cell.cell_contents for cell in getattr(hook, "__closure__", None) or ()]
    return any(cell is FileFinder for cell in cells) and any(cell == _DETAILS for cell in cells)


class Opened:
    """An index in use, with what is done ahead of imports and beside them."""

    __slots__ = ("caches", "index", "read_ahead")

    def __init__(self, release: str) -> None:
        self.index = Index(release)
        self.read_ahead = ReadAhead(self.index)
        self.caches = Caches(self.index)


class Accelerator:
    """One release's index, opened when the first import reaches the release; in doubt there is none.

    Its bound method `hook` belongs on ``sys.path_hooks``, itself on ``sys.meta_path`` before the standard path finder.
    """

    def __init__(self, release: str) -> None:
        self._release = release
        self._site = release + "/site"
        self._tried = False
        self._opened: "Optional[Opened]" = None

    def __eq__(self, other: object) -> bool:
        """Of the same release: activating it again must not add another."""
        return type(other) is Accelerator and other._release == self._release

    def __hash__(self) -> int:
        """Programs put the finders of ``sys.meta_path`` into sets."""
        return hash((Accelerator, self._release))

    def hook(self, path: str) -> FileFinder:
        """A finder for PATH where it is a folder of the release; ImportError elsewhere: then another hook is asked.

        A program's own hook that stands before the standard one (beartype) is asked first, as it would be without this.
        """
        if isinstance(path, str) and (path == self._site or path.startswith(self._site + "/")):
            if not self._is_next_to_standard(path):
                raise ImportError("another hook is asked before the standard one", path=path)
            opened = self._open() if _suffixes_are_plain() else None
            entries = opened.index.folder(path) if opened else None
            if opened and entries is not None:
                return IndexedFinder(path, entries, opened)
        raise ImportError("not a folder of the release", path=path)

    def _is_next_to_standard(self, path: str) -> bool:
        """Whether of all hooks after this one it is the standard one that would take the folder PATH."""
        hooks = list(sys.path_hooks)
        own = next((i for i, hook in enumerate(hooks) if getattr(hook, "__self__", None) == self), -1)
        for hook in hooks[own + 1 :]:
            if _is_standard(hook):
                return True
            # zipimport takes files only, and asking it is a look-up; another release's accelerator does not take this one's.
            if getattr(hook, "__module__", "") == "zipimport" or type(getattr(hook, "__self__", None)) is Accelerator:
                continue
            try:
                hook(path)
            except ImportError:
                continue
            return False
        return False

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Nothing: modules are found by way of the path hook."""

    def find_distributions(self, context: object) -> "Iterable[object]":
        """Nothing either, but the path finder, which is asked next, will find the metadata in the index."""
        opened = self._open()
        if opened:
            from efsprov.bootstrap._metadata import serve  # noqa: PLC0415 - few programs ask for metadata

            serve(opened.index, context)
        return ()

    def invalidate_caches(self) -> None:
        """Nothing: a release never changes."""

    def _open(self) -> "Optional[Opened]":
        """The index; None, and one line in the log, where it cannot be used."""
        if not self._tried:
            try:
                self._opened = Opened(self._release)
            except UnusableError as error:
                tell(f"{self._release} is imported without its index: {error}")
            except MemoryError:
                tell(f"{self._release} is imported without its index: there is too little memory for it")
            self._tried = True
        return self._opened


class IndexedFinder(FileFinder):
    """The standard finder of one folder, with its ENTRIES from the index in the place of look-ups."""

    def __init__(self, path: str, entries: "dict[str, tuple[Any, ...]]", opened: Opened) -> None:
        super().__init__(path, *_DETAILS)
        self._entries = entries
        self._opened = opened

    def find_spec(self, fullname: str, target: "Optional[ModuleType]" = None) -> "Optional[ModuleSpec]":
        """The spec of module FULLNAME as it is in this folder; None where it is not."""
        if not _loaders_are_plain():
            return super().find_spec(fullname, target)
        name = fullname.rpartition(".")[2]
        entry = self._entries.get(name)
        self._opened.caches.fill()
        if entry is None:
            return None
        kind = entry[0]
        folder = f"{self.path}/{name}"
        if kind == NAMESPACE:
            spec = ModuleSpec(fullname, None)
            spec.submodule_search_locations = [folder]
            return spec
        if kind == UNKNOWN:
            return super().find_spec(fullname, target)
        path = f"{self.path}/{entry[1]}"
        self._opened.read_ahead.about_to_use(path, library=kind == EXTENSION)
        self._opened.caches.note(fullname, path)
        loader = _LOADERS[kind](fullname, path)
        if kind == PACKED:
            loader.get_code = _PackedCode(loader, self._opened, entry[2:])
            loader.exec_module = _Execution(loader.exec_module)
        places = [folder] if "/" in entry[1] else None
        return spec_from_file_location(fullname, path, loader=loader, submodule_search_locations=places)


class _PackedCode:
    """What a loader's ``get_code`` is until it is called: then it takes itself away, and the loader is a plain one.

    It compares as the method would: two specs of one module are equal.
    """

    __slots__ = ("_loader", "_opened", "_where")

    def __init__(self, loader: "Any", opened: Opened, where: "tuple[Any, ...]") -> None:
        self._loader = loader
        self._opened = opened
        self._where = where

    def __call__(self, fullname: str) -> "Optional[CodeType]":
        loader = self._loader
        self._withdraw()
        path: str = loader.get_filename(fullname)  # raises where the standard method would: a loader is for one name
        if not _loaders_are_plain():  # since the module was found
            code: "Optional[CodeType]" = loader.get_code(fullname)
            return code
        self._opened.caches.fill()
        index = self._opened.index
        data = index.read(*self._where)
        if data is None:
            if index.open(self._where[0]) is not None:  # else the whole pack was told of
                tell(f"{path} is imported without the index: its bytecode in the pack is damaged or cannot be read")
            plain: "Optional[CodeType]" = loader.get_code(fullname)
            return plain
        packed: "CodeType" = marshal.loads(data)  # noqa: S302 - bytecode is what it is for
        _imp._fix_co_filename(packed, path)  # type: ignore[attr-defined]  # noqa: SLF001 - as importlib does
        return packed

    def _withdraw(self) -> None:
        """Take from the loader what is ours, and nothing that somebody put in its place."""
        held = self._loader.__dict__
        if held.get("get_code") is self:
            del held["get_code"]
        execution = held.get("exec_module")
        if type(execution) is _Execution:
            del held["exec_module"]
            execution.postponed = postpone()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _PackedCode) and self._where == other._where and self._opened is other._opened

    def __hash__(self) -> int:
        return hash(self._where)

    def __reduce__(self) -> "tuple[Callable[..., object], tuple[object, ...]]":
        """A pickled loader is a plain one."""
        return getattr, (_LOADERS[SOURCE](self._loader.name, self._loader.path), "get_code")


class _Execution(partial):  # type: ignore[misc]
    """What a loader's ``exec_module`` is until the module's code is asked for: then nobody but the call under way holds it.

    So it, and what was hung on it, is gone when the module has been executed or has failed. There is no frame of it: a
    program that counts frames up to whoever imported it (`warnings.warn`, `sys._getframe`) finds those of the import
    system alone.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Execution)

    def __hash__(self) -> int:
        return hash(_Execution)

    def __reduce__(self) -> "tuple[Callable[..., object], tuple[object, ...]]":
        """A pickled loader is a plain one."""
        loader = self.func.__self__
        return getattr, (_LOADERS[SOURCE](loader.name, loader.path), "exec_module")
