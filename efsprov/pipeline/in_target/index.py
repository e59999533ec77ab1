"""Write a release's import index and pack; run by the target's interpreter (3.9 or newer) with its standard library.

usage: python -I -S -B index.py SITE FOLDER MACHINE < request

Reads what the smoke test recorded as JSON from standard input (order, loaded, starts, quoted, libraries), writes both files
into FOLDER and prints figures as JSON. MACHINE is the target's (x86_64, aarch64): extension modules carry it.
"""

# Thousands of files, and bytecode that this interpreter has just written.
# ruff: noqa: PTH100, PTH112, PTH113, PTH118, PTH119, PTH120, PTH123, PTH202, PTH208

import _imp
import importlib.util
import json
import linecache
import marshal
import os
import sys
import tokenize
from importlib import machinery

UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552
TEXTS = (
    "METADATA",
    "RECORD",
    "WHEEL",
    "INSTALLER",
    "entry_points.txt",
    "top_level.txt",
    "direct_url.json",
    "REQUESTED",
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    Where = tuple[int, int, bytes]


def beside(path: str) -> "ModuleType":
    """The module in the file at PATH, relative to this one: the interpreter has nothing of efsprov on its path."""
    file = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), path))
    spec = importlib.util.spec_from_file_location("beside_" + os.path.basename(path)[:-3], file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = beside("../../bootstrap/_index.py")
planner = beside("plan.py")


def folders(site: str) -> "tuple[list[str], set[str]]":
    """All folders under SITE as paths relative to it, itself as ``""``; and which of them hold symbolic links.

    The latter are left to the standard finder: what the index says of a path would not be true of a link.
    """
    found, linked, todo = [], set(), [""]
    while todo:
        folder = todo.pop()
        with os.scandir(os.path.join(site, folder)) as scan:
            listed = list(scan)
        todo += [os.path.join(folder, entry.name) for entry in listed if entry.is_dir(follow_symlinks=False)]
        found.append(folder)
        if any(entry.is_symlink() for entry in listed):
            linked.add(folder)
    return sorted(found), linked


def entries(site: str, folder: str, suffixes: "list[str]", linked: "set[str]") -> "dict[str, tuple[int, str]]":
    """{name: (kind, path from the folder)} of what FOLDER holds for importing: what the interpreter's own finder finds.

    Packages in LINKED folders are only said to exist.
    """
    details = (
        (machinery.ExtensionFileLoader, suffixes),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )
    path = os.path.join(site, folder) if folder else site
    finder = machinery.FileFinder(path, *details)
    kinds: "dict[Any, int]" = {
        machinery.ExtensionFileLoader: reader.EXTENSION,
        machinery.SourceFileLoader: reader.SOURCE,
        machinery.SourcelessFileLoader: reader.BYTECODE,
    }
    endings = [suffix for _, group in details for suffix in group]
    listed = os.listdir(path)
    names = {name[: -len(end)] for name in listed for end in endings if name.endswith(end)} | set(listed)
    found: "dict[str, tuple[int, str]]" = {}
    for name in sorted(name for name in names if name and "." not in name):
        spec = finder.find_spec(name)
        if spec is None:
            continue
        if os.path.join(folder, name) in linked:
            found[name] = (reader.UNKNOWN, name)
        elif spec.loader is None:
            found[name] = (reader.NAMESPACE, name)
        else:
            found[name] = (kinds[type(spec.loader)], os.path.relpath(str(spec.origin), path))
    return found


class Pack:
    """The pack as it is written: pieces one after the other."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by whoever made it
        self.size = 0
        self.add(reader.MAGIC + b"pack" + importlib.util.MAGIC_NUMBER)

    def add(self, data: bytes) -> "Where":
        """Append DATA; returns where it lies: (offset, size, checksum)."""
        where = (self.size, len(data), reader.checksum(data))
        self._file.write(data)
        self.size += len(data)
        return where

    def close(self) -> None:
        """Write the rest."""
        self._file.close()


def bytecode(source: str) -> "bytes | None":
    """The code object of SOURCE as the compile step left it; None where there is none, or one that could be void."""
    try:
        with open(importlib.util.cache_from_source(source, optimization=""), "rb") as file:
            data = file.read()
    except OSError:
        return None
    return data[16:] if data[:8] == importlib.util.MAGIC_NUMBER + UNCHECKED_HASH else None


def text_of(source: str) -> "bytes | None":
    """The text of SOURCE as the line cache of this interpreter keeps it; None where reading it would load a codec."""
    with open(source, "rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return "".join(linecache.getlines(source)).encode("utf-8") if encoding in {"utf-8", "utf-8-sig"} else None


def distributions(site: str, pack: Pack) -> "dict[str, tuple[Any, ...]]":
    """{name of a metadata folder: (names in it, {name of a file: where its text lies})}."""
    found: "dict[str, tuple[Any, ...]]" = {}
    for info in sorted(name for name in os.listdir(site) if name.lower().endswith((".dist-info", ".egg-info"))):
        path = os.path.join(site, info)
        if not os.path.isdir(path):
            continue
        texts: "dict[str, Where]" = {}
        names = sorted(os.listdir(path))
        for name in names:
            if name in TEXTS and os.path.isfile(os.path.join(path, name)):
                with open(os.path.join(path, name), "rb") as file:
                    data = file.read()
                if b"\r" not in data and _is_text(data):  # reading as text would change it
                    texts[name] = pack.add(data)
        found[info] = (tuple(names), texts)
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def main(site: str, folder: str, machine: str) -> "dict[str, int]":
    """Write both files; returns the figures of `efsprov.pipeline.index.IndexReport`."""
    site = os.path.realpath(site)
    request = json.load(sys.stdin)
    host = os.uname().machine
    suffixes = [suffix.replace(f"-{host}-", f"-{machine}-") for suffix in _imp.extension_suffixes()]
    found, linked = folders(site)
    tables = {name: entries(site, name, suffixes, linked) for name in found if name not in linked}
    modules = (reader.SOURCE, reader.EXTENSION, reader.BYTECODE)
    files = {
        os.path.join(name, path): kind
        for name, table in tables.items()
        for kind, path in table.values()
        if kind in modules
    }

    pack = Pack(os.path.join(folder, reader.PACK_NAME))
    hot = [name for name in request["order"] if files.get(name) == reader.SOURCE]
    quoted = set(request["quoted"])
    lines: "dict[str, tuple[Where, int]]" = {}
    packed: "dict[str, Where]" = {}
    for name in dict.fromkeys([*hot, *sorted(name for name, kind in files.items() if kind == reader.SOURCE)]):
        code = bytecode(os.path.join(site, name))
        if code is not None:
            packed[name] = pack.add(code)
        text = text_of(os.path.join(site, name)) if code is not None and name in quoted else None
        if text is not None:
            lines[name] = (pack.add(text), os.path.getsize(os.path.join(site, name)))
    infos = distributions(site, pack)
    pack.close()

    def in_pack(name: str) -> "tuple[int, int]":
        offset, size, _ = packed[name]
        return offset, size + (lines[name][0][1] if name in lines else 0)  # a source's text follows its bytecode

    plan = planner.make_plan(
        request["order"],
        request["starts"],
        {name: [(at, length) for at, length in runs] for name, runs in request["libraries"].items()},
        packed={name: in_pack(name) for name in hot if name in packed},
        modules=frozenset(name for name in request["order"] if name in files) - frozenset(request["loaded"]),
        quoted=lines,
    )
    if (planner.READ, planner.LOOK_UP) != (reader.READ, reader.LOOK_UP):
        raise AssertionError("plan.py and _index.py do not agree")

    marshalled = {}
    for name, table in tables.items():
        rows = {}
        for module, (kind, path) in table.items():
            where = packed.get(os.path.join(name, path)) if kind == reader.SOURCE else None
            rows[module] = (reader.PACKED, path, *where) if where else (kind, path)
        marshalled[name] = marshal.dumps(rows)
    parts = (plan.files, plan.steps, plan.positions, plan.spans, lines, bool(linked))
    body = marshal.dumps((suffixes, marshalled, marshal.dumps(infos), marshal.dumps(parts)))
    head = reader.header(body, pack.size)
    with open(os.path.join(folder, reader.INDEX_NAME), "wb") as out:
        out.write(head + body)
    return {
        "modules": len(files),
        "packed": len(packed),
        "hot_modules": sum(1 for name in hot if name in packed),
        "hot_bytes": sum(packed[name][1] for name in hot if name in packed),
        "library_bytes": sum(length for runs in request["libraries"].values() for _, length in runs),
        "planned_reads": sum(1 for step in plan.steps if step[0] == reader.READ),
        "planned_bytes": sum(step[3] for step in plan.steps),
        "index_bytes": len(head) + len(body),
        "pack_bytes": pack.size,
    }


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:4]), sys.stdout)
