# ruff: noqa: B008, B023, BLE001, PTH123, PTH206  # a program of users, who do such things
"""Looks at a release from inside a program, in every way that a program can, and prints what it sees as JSON.

usage: python fidelity_program.py REPORT TOP_LEVEL_NAME...

It is run with and without the accelerator; the two reports must be equal. Runs on CPython 3.9 and newer.
"""

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import inspect
import io
import json
import linecache
import marshal
import os
import pickle
import pkgutil
import re
import sys
import traceback
import types
import warnings

import efsprov.bootstrap as shim

SITE = next(iter(shim.releases.values())).site
REPORT = {}


def digest(value):
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def outcome(call, *args, **kwargs):
    """What CALL returns or how it fails, as JSON can say it."""
    try:
        return call(*args, **kwargs)
    except (Exception, SystemExit) as error:
        return [type(error).__name__, re.sub("0x[0-9a-f]+", "0x", str(error))]


def describe_loader(loader):
    if loader is None:
        return None
    return [
        f"{type(loader).__module__}.{type(loader).__qualname__}",
        sorted((k, str(v)) for k, v in vars(loader).items()),
    ]


def describe_spec(spec):
    if spec is None:
        return None
    places = spec.submodule_search_locations
    return {
        "type": type(spec).__qualname__,
        "name": spec.name,
        "loader": [
            type(spec.loader).__qualname__,
            getattr(spec.loader, "name", None),
            getattr(spec.loader, "path", None),
        ],
        "origin": spec.origin,
        "cached": spec.cached,
        "parent": spec.parent,
        "has_location": spec.has_location,
        "loader_state": spec.loader_state,
        "places": [type(places).__qualname__, list(places)] if places is not None else None,
    }


def describe_code(code):
    """Everything that a code object is, its file names included."""
    return digest(marshal.dumps(code)) + code.co_filename if isinstance(code, types.CodeType) else code


def names_on_disk():
    """Every module name that the tree could hold, and some that it does not."""
    found = set()
    for folder, folders, files in os.walk(SITE):
        folders[:] = [name for name in sorted(folders) if name.isidentifier() and name != "__pycache__"]
        parts = [] if folder == SITE else os.path.relpath(folder, SITE).split(os.sep)
        found.add(".".join(parts))
        found |= {".".join([*parts, name.split(".")[0]]) for name in files if name.split(".")[0].isidentifier()}
    return sorted(found - {""})


def packages_first(names, tops):
    return [name for name in names if name.split(".")[0] in tops]


def see_specs(names):
    """`find_spec` of every name; a package that cannot be imported answers with its error for all that is below it."""
    return {name: outcome(lambda name=name: describe_spec(importlib.util.find_spec(name))) for name in names}


def import_all(names):
    """Import whatever can be imported: each module, or how it fails."""
    left_out = {"__main__", "__init__", "conftest", "setup", "tests", "_examples"}  # what acts on it, or nobody imports
    left_out.add("_xla_ops")  # registers operations that TensorFlow has already, which then aborts the process
    return {
        name: outcome(lambda name=name: type(importlib.import_module(name)).__qualname__)
        for name in names
        if not left_out & set(name.split(".")) and "test" not in name
    }


def see_modules():
    """All that has been imported from the release, in the order of sys.modules."""
    seen = {}
    for name, module in list(sys.modules.items()):
        space = getattr(module, "__dict__", {})
        file = space.get("__file__")
        if not (isinstance(file, str) and file.startswith(SITE)) and not str(space.get("__path__", "")).count(SITE):
            continue
        seen[name] = {
            "file": file,
            "cached": space.get("__cached__"),
            "path": [type(space["__path__"]).__qualname__, list(space["__path__"])] if "__path__" in space else None,
            "package": space.get("__package__"),
            "loader": describe_loader(space.get("__loader__")),
            "spec": outcome(describe_spec, space.get("__spec__")),
            "equal": outcome(lambda spec=space.get("__spec__"): importlib.util.find_spec(spec.name) == spec),
            "repr": repr(module)[:200].split(" at 0x")[0] if type(module) is types.ModuleType else "",
            "names": digest(sorted(key for key in space if key != "__builtins__")),
            "doc": digest(space.get("__doc__")),
        }
    return seen


def see_loaders(seen):
    """What the loaders' own methods say, after they have been used and through fresh specs."""
    result = {}
    for name in seen:
        spec = outcome(importlib.util.find_spec, name)
        loader = getattr(spec, "loader", None)
        if loader is None or not hasattr(loader, "get_code"):
            continue
        result[name] = {
            "code": outcome(lambda: describe_code(loader.get_code(name))),
            "code again": outcome(lambda: describe_code(loader.get_code(name))),
            "source": outcome(lambda: digest(loader.get_source(name))),
            "filename": outcome(lambda: loader.get_filename(name)),
            "package": outcome(lambda: loader.is_package(name)),
            "data": outcome(lambda: digest(pkgutil.get_data(name, "__init__.py")))
            if spec.submodule_search_locations
            else None,
            "wrong name": outcome(lambda: loader.get_filename("another")),
            "pickled": outcome(lambda: describe_loader(pickle.loads(pickle.dumps(loader)))),
        }
    return result


def see_sources(seen):
    """Source, module and file of functions and classes, as `inspect` finds them."""
    result = {}
    for name in seen:
        module = sys.modules[name]
        own = [
            (key, value)
            for key, value in sorted(getattr(module, "__dict__", {}).items())
            if (inspect.isfunction(value) or inspect.isclass(value)) and getattr(value, "__module__", None) == name
        ][:3]
        for key, value in own:
            result[f"{name}.{key}"] = [
                outcome(lambda: digest(inspect.getsource(value))),
                outcome(lambda: inspect.getfile(value)),
                outcome(lambda: getattr(inspect.getmodule(value), "__name__", None)),
                outcome(lambda: getattr(inspect.getmodule(value, inspect.getsourcefile(value)), "__name__", None)),
                outcome(lambda: getattr(inspect.getmodule(getattr(value, "__code__", None)), "__name__", None)),
                outcome(lambda: digest(pickle.dumps(value))),
            ]
    return result


def see_packages(tops):
    """What `pkgutil` lists."""
    walked = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for top in tops:
            path = getattr(sys.modules.get(top), "__path__", None)
            if path is not None:
                walked += [(m.name, m.ispkg) for m in pkgutil.walk_packages(path, top + ".", onerror=lambda _: None)]
        listed = [(m.name, m.ispkg, type(m.module_finder).__mro__[-2].__name__) for m in pkgutil.iter_modules([SITE])]
    return {"walked": walked, "listed": sorted(listed)}


def see_resources(tops):
    """Names and bytes that `importlib.resources` gives."""
    result = {}
    for top in tops:

        def look(top=top):
            files = importlib.resources.files(top)
            entries = sorted(files.iterdir(), key=lambda entry: entry.name)
            read = {entry.name: digest(entry.read_bytes()) for entry in entries if entry.is_file()}
            return [str(files), [entry.name for entry in entries], read]

        result[top] = outcome(look)
        result[top + "?"] = outcome(lambda top=top: importlib.resources.is_resource(top, "__init__.py"))
    return result


def see_distributions():
    """What `importlib.metadata` knows of the release's distributions."""
    result = {}
    for found in importlib.metadata.distributions():
        if not str(found.locate_file("")).startswith(SITE):
            continue
        name = found.metadata["Name"]
        again = importlib.metadata.distribution(name)
        result[name] = {
            "type": type(found).__qualname__,
            "path": str(found._path),
            "repr": repr(found._path),
            "version": importlib.metadata.version(name),
            "metadata": digest(sorted(map(str, again.metadata.items()))),
            "requires": again.requires,
            "entry points": [str(point) for point in again.entry_points],
            "files": outcome(lambda: [len(again.files), digest(sorted(map(str, again.files)))]),
            "hashes": outcome(lambda: digest([str(file.hash) for file in again.files])),
            "located": outcome(lambda: [repr(file.locate()) for file in list(again.files)[:5]]),
            "read": outcome(lambda: digest(next(f for f in again.files if f.suffix == ".py").read_text())),
            "texts": {
                text: outcome(lambda: digest(again.read_text(text)))
                for text in (
                    "METADATA",
                    "RECORD",
                    "WHEEL",
                    "top_level.txt",
                    "entry_points.txt",
                    "missing",
                    "../x",
                    "licenses",
                )
            },
            "pickled": outcome(lambda: repr(pickle.loads(pickle.dumps(again._path)))),
            "pathlike": [
                os.fspath(again._path),
                repr(again._path.parent),
                repr(again._path / "x"),
                again._path.exists(),
            ],
            "listed": outcome(lambda: sorted(repr(entry) for entry in again._path.iterdir())),
        }
    points = importlib.metadata.entry_points()
    groups = points if isinstance(points, dict) else {group: points.select(group=group) for group in points.groups}
    result["entry points"] = {group: sorted({str(point) for point in groups[group]}) for group in sorted(groups)}
    result["unknown"] = outcome(importlib.metadata.version, "no-such-distribution")
    result["spelt otherwise"] = {
        n: outcome(importlib.metadata.version, n.upper().replace("-", "_")) for n in list(result)
    }
    if hasattr(importlib.metadata, "packages_distributions"):
        result["packages"] = {k: sorted(v) for k, v in sorted(importlib.metadata.packages_distributions().items())}
    return result


def see_tracebacks(seen):
    """How errors inside of the release are shown."""
    result = {}
    for name in seen:
        module = sys.modules[name]
        for key, value in sorted(getattr(module, "__dict__", {}).items()):
            if inspect.isfunction(value) and value.__module__ == name and value.__code__.co_argcount:
                frame = types.CodeType.replace(value.__code__, co_name=value.__code__.co_name)
                result[f"{name}.{key}"] = [
                    frame.co_filename,
                    linecache.getline(frame.co_filename, frame.co_firstlineno),
                ]
                break
    try:
        importlib.import_module(next(iter(seen)) + ".no_such_module_in_it")
    except ImportError:
        result["missing"] = traceback.format_exc()
    return result


def main(report, tops):
    warnings.simplefilter("ignore")
    names = names_on_disk()
    with contextlib.redirect_stdout(io.StringIO()):
        REPORT["imports"] = {top: outcome(lambda top=top: importlib.import_module(top).__name__) for top in tops}
        REPORT["order"] = [name for name in sys.modules if not name.startswith("efsprov")]
        REPORT["modules"] = see_modules()
        REPORT["all"] = import_all(packages_first(names, tops))
        REPORT["all order"] = [name for name in sys.modules if not name.startswith("efsprov")]
        REPORT["all modules"] = see_modules()
        REPORT["sources"] = see_sources(REPORT["all modules"])
        REPORT["tracebacks"] = see_tracebacks(REPORT["all modules"])
        REPORT["specs"] = see_specs(packages_first(names, tops))
        REPORT["missing"] = see_specs(
            [f"{top}.nothing_of_this_name" for top in tops] + ["nothing_of_this_name", "numpy_"]
        )
        REPORT["packages"] = see_packages(tops)
        REPORT["resources"] = see_resources(tops)
        REPORT["loaders"] = see_loaders(see_modules())
        REPORT["distributions"] = see_distributions()
        REPORT["after"] = see_modules()
        REPORT["reloaded"] = {
            top: outcome(lambda top=top: importlib.reload(sys.modules[top]).__name__) for top in tops[-2:]
        }
        REPORT["path"] = [sys.path, len(sys.path_hooks) > 0, "FileFinder" in str(sys.path_importer_cache.get(SITE))]
    with open(report, "w") as file:
        json.dump(REPORT, file, default=str)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
