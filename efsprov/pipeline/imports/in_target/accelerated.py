"""Import modules by a release's index in this fresh interpreter; run by the target's interpreter (3.9 or newer).

usage: python -I -S -B accelerated.py RELEASE BOOTSTRAP REPORT IMPORT...

BOOTSTRAP is the folder of efsprov.bootstrap, of which only the finder is used: the release has no name yet that could be
pinned. REPORT gets a JSON list: names of the modules that came from the release, sorted.
"""

# ruff: noqa: PTH118, PTH120, PTH123

import importlib
import os
import sys
from types import ModuleType


def accelerate(release: str, bootstrap: str) -> None:
    """Have imports from RELEASE answered from its index, as the shim does."""
    for name, path in (("efsprov", os.path.dirname(bootstrap)), ("efsprov.bootstrap", bootstrap)):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    finder = importlib.import_module("efsprov.bootstrap._finder")
    accelerator = finder.Accelerator(release)
    sys.path.insert(0, os.path.join(release, "site"))
    sys.path_hooks.insert(0, accelerator.hook)
    at = next(i for i, found in enumerate(sys.meta_path) if getattr(found, "__name__", "") == "PathFinder")
    sys.meta_path.insert(at, accelerator)


def main(release: str, bootstrap: str, report: str, imports: "list[str]") -> None:
    """Import IMPORTS in order and write REPORT."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100
    probe = importlib.import_module("probe")
    del sys.path[0], sys.modules["probe"]
    release = os.path.realpath(release)
    sys.argv[:] = [""]
    accelerate(release, os.path.realpath(bootstrap))
    probe.start_as_a_runtime_does()
    timeline = probe.Timeline(os.path.join(release, "site"))
    sys.addaudithook(timeline.hook)
    process = os.getpid()
    for name in imports:
        importlib.import_module(name)
    if os.getpid() != process:  # a child that a package forked and that came back from its import
        os._exit(0)
    found = sorted(probe.modules_of(timeline))
    json = importlib.import_module("json")
    with open(report, "w", encoding="utf-8", errors="surrogateescape") as out:
        json.dump(found, out)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
