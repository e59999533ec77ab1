"""Write a release's import index and packs; run by the target's interpreter (3.9 or newer) with its standard library.

usage: python -I -S -B index.py SITE FOLDER MACHINE < request

Reads what the smoke test recorded as JSON from standard input (order, loaded, starts, quoted, libraries), writes all into
FOLDER and prints figures as JSON. MACHINE is the target's (x86_64, aarch64): extension modules carry it.
"""

# Thousands of files, and bytecode that this interpreter has just written.
# ruff: noqa: PTH100, PTH112, PTH113, PTH118, PTH119, PTH120, PTH123, PTH202, PTH208

import _imp
import hashlib
import importlib.util
import json
import linecache
import marshal
import os
import sys
import tokenize
from concurrent.futures import ThreadPoolExecutor
from importlib import machinery

TURN, TURNS = 64, 8  # sources that a thread reads at a time, and how often that is done ahead of writing
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
    from collections.abc import Iterator
    from concurrent.futures import Future
    from types import ModuleType
    from typing import Any

    Where = tuple[int, int, int, bytes]


def beside(path: str) -> "ModuleType":
    """The module in the file at PATH, relative to this one: the interpreter has nothing of efsprov on its path."""
    file = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), path))
    spec = importlib.util.spec_from_file_location("beside_" + os.path.basename(path)[:-3], file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = beside("../../../bootstrap/_index.py")
planner = beside("plan.py")
finding = beside("folders.py")
packing = beside("packs.py")


def bytecode(source: str) -> "memoryview | None":
    """The code object of SOURCE as the compile step left it; None where there is none, or one that could be void."""
    try:
        with open(importlib.util.cache_from_source(source, optimization=""), "rb", buffering=0) as file:
            data = file.readall()
    except OSError:
        return None
    return memoryview(data)[16:] if data[:8] == importlib.util.MAGIC_NUMBER + UNCHECKED_HASH else None


def all_bytecode(site: str, sources: "list[str]") -> "Iterator[tuple[str, memoryview | None]]":
    """Each of SOURCES with its code object, read ahead on all processors, a few hundred in memory at a time."""

    def read(names: "list[str]") -> "list[tuple[str, memoryview | None]]":
        return [(name, bytecode(os.path.join(site, name))) for name in names]

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        ahead: "list[Future[list[tuple[str, memoryview | None]]]]" = []
        for first in range(0, len(sources), TURN):
            ahead.append(pool.submit(read, sources[first : first + TURN]))
            if len(ahead) > TURNS:
                yield from ahead.pop(0).result()
        for done in ahead:
            yield from done.result()


def text_of(source: str) -> "bytes | None":
    """The text of SOURCE as the line cache of this interpreter keeps it; None where reading it would load a codec."""
    with open(source, "rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return "".join(linecache.getlines(source)).encode("utf-8") if encoding in {"utf-8", "utf-8-sig"} else None


def distributions(site: str, packs: "Any") -> "dict[str, tuple[Any, ...]]":
    """{name of a metadata folder: (names in it, {name of a file: where its text lies})}."""
    found: "dict[str, tuple[Any, ...]]" = {}
    for info in sorted(name for name in os.listdir(site) if name.lower().endswith((".dist-info", ".egg-info"))):
        path = os.path.join(site, info)
        if not os.path.isdir(path):
            continue
        packs.begin(info.partition("-")[0])
        texts: "dict[str, Where]" = {}
        names = sorted(os.listdir(path))
        for name in names:
            if name in TEXTS and os.path.isfile(os.path.join(path, name)):
                with open(os.path.join(path, name), "rb") as file:
                    data = file.read()
                if b"\r" not in data and _is_text(data):  # reading as text would change it
                    texts[name] = packs.add(data)
        found[info] = (tuple(names), texts)
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def find_modules(site: str, machine: str) -> "tuple[dict[str, Any], list[str], bool]":
    """({folder: its entries}, suffixes of extension modules, whether there are links) of SITE, for a MACHINE."""
    host = os.uname().machine
    suffixes: "list[str]" = [suffix.replace(f"-{host}-", f"-{machine}-") for suffix in _imp.extension_suffixes()]
    order = [
        *((suffix, reader.EXTENSION) for suffix in suffixes),
        *((suffix, reader.SOURCE) for suffix in machinery.SOURCE_SUFFIXES),
        *((suffix, reader.BYTECODE) for suffix in machinery.BYTECODE_SUFFIXES),
    ]
    found = list(finding.Folder(site, "").walk())
    tables = {
        folder.path: folder.entries(order, namespace=reader.NAMESPACE, unknown=reader.UNKNOWN)
        for folder in found
        if not folder.linked
    }
    return tables, suffixes, any(folder.linked for folder in found)


def main(site: str, folder: str, machine: str) -> "dict[str, Any]":
    """Write the index and the packs; returns what `efsprov.pipeline.imports.import_index.IndexReport` is made of."""
    site = os.path.realpath(site)
    request = json.load(sys.stdin)
    tables, suffixes, linked = find_modules(site, machine)
    modules = (reader.SOURCE, reader.EXTENSION, reader.BYTECODE)
    files = {
        os.path.join(name, path): kind
        for name, table in tables.items()
        for kind, path in table.values()
        if kind in modules
    }

    head = reader.MAGIC + b"pack" + importlib.util.MAGIC_NUMBER
    packs = packing.Packs(os.path.join(folder, reader.PACKS_NAME), head, reader.checksum)
    hot = [name for name in request["order"] if files.get(name) == reader.SOURCE]
    quoted = set(request["quoted"])
    lines: "dict[str, tuple[Where, int]]" = {}
    packed: "dict[str, Where]" = {}
    cold = sorted({name for name, kind in files.items() if kind == reader.SOURCE}.difference(hot))
    sources = [*dict.fromkeys(hot), *cold]
    for name, code in all_bytecode(site, sources):
        if cold and name == cold[0]:
            packs.cut()  # an import reads its packs whole
        if code is None:
            continue
        packs.begin(name)
        packed[name] = packs.add(code)
        text = text_of(os.path.join(site, name)) if name in quoted else None
        if text is not None:
            lines[name] = (packs.add(text), os.path.getsize(os.path.join(site, name)))
    if not cold:
        packs.cut()
    infos = distributions(site, packs)
    digests = packs.close()
    names = [f"{reader.PACKS_NAME}/{packing.name_of(digest)}" for digest in digests]

    def in_pack(name: str) -> "tuple[int, int, int]":
        pack, offset, size, _ = packed[name]
        return pack, offset, size + (lines[name][0][2] if name in lines else 0)  # a source's text follows its bytecode

    plan = planner.make_plan(
        request["order"],
        request["starts"],
        {name: [(at, length) for at, length in runs] for name, runs in request["libraries"].items()},
        packs=len(names),
        packed={name: in_pack(name) for name in hot if name in packed},
        modules=frozenset(name for name in request["order"] if name in files) - frozenset(request["loaded"]),
    )

    marshalled = {}
    for name, table in tables.items():
        rows = {}
        for module, (kind, path) in table.items():
            where = packed.get(os.path.join(name, path)) if kind == reader.SOURCE else None
            rows[module] = (reader.PACKED, path, *where) if where else (kind, path)
        marshalled[name] = marshal.dumps(rows)
    figures = {
        "modules": len(files),
        "packed": len(packed),
        "hot_modules": sum(1 for name in hot if name in packed),
        "hot_bytes": sum(packed[name][2] for name in hot if name in packed),
        "library_bytes": sum(length for runs in request["libraries"].values() for _, length in runs),
        "planned_reads": len(plan.steps),
        "planned_bytes": sum(length for _, _, length in plan.steps),
        "peak_bytes": 0,
        "microseconds": 0,
        "cpu_microseconds": 0,
    }
    parts = (plan.files, plan.steps, plan.positions, plan.spans, lines, linked)
    listed = list(zip(names, packs.sizes))  # noqa: B905 - Python 3.9
    body = marshal.dumps((suffixes, listed, marshalled, marshal.dumps(infos), marshal.dumps(parts), request["bound"]))
    data = reader.header(body, sum(packs.sizes), figures) + body
    with open(os.path.join(folder, reader.INDEX_NAME), "wb") as out:
        out.write(data)
    sha256 = {reader.INDEX_NAME: hashlib.sha256(data).hexdigest(), **dict(zip(names, digests))}  # noqa: B905
    return {**figures, "index_bytes": len(data), "pack_bytes": sum(packs.sizes), "sha256": sha256}


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:4]), sys.stdout)
