"""Import modules in this fresh interpreter and tell what that cost; run by the target's interpreter (3.9 or newer).

usage: python -I -S -B measure.py SITE SHIM [IMPORT...]

SHIM is the folder that holds efsprov/bootstrap, which then puts the release on the path; "" puts SITE there and nothing
else. Prints one JSON document; what packages print goes to standard error.
"""

# What is imported here before it is measured would not be measured.
# ruff: noqa: PLC0415, PTH100, PTH120, PTH123

import os
import sys
import time


def stored() -> int:
    """Bytes that this process has had fetched from disks so far; 0 where the kernel does not count them."""
    try:
        with open("/proc/self/io", encoding="ascii") as counters:
            return next(int(line.split()[1]) for line in counters if line.startswith("read_bytes:"))
    except OSError:
        return 0


def main(site: str, shim: str, imports: "list[str]") -> "dict[str, object]":
    """Import IMPORTS in order; seconds are of the clock and of all processors, the shim's own part included."""
    import importlib

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    probe = importlib.import_module("probe")
    del sys.path[0], sys.modules["probe"]
    fetched, cpu, start = stored(), time.process_time(), time.perf_counter()
    if shim:
        sys.path.insert(0, shim)
        importlib.import_module("efsprov.bootstrap")
    else:
        sys.path.insert(0, site)
    ready, ready_cpu = time.perf_counter(), time.process_time()
    if imports:
        probe.start_as_a_runtime_does()
    for name in imports:
        importlib.import_module(name)
    end, end_cpu = time.perf_counter(), time.process_time()
    finder = sys.path_importer_cache.get(site)
    return {
        "wall": end - start,
        "cpu": end_cpu - cpu,
        "shim": ready - start,
        "shim_cpu": ready_cpu - cpu,
        "peak": probe.peak(),
        "stored": stored() - fetched,
        "indexed": type(finder).__name__ == "IndexedFinder",
    }


if __name__ == "__main__":
    report = os.dup(1)
    os.dup2(2, 1)
    result = main(sys.argv[1], sys.argv[2], sys.argv[3:])
    # By hand: importing json would be the first import that reaches the release, where only the shim is measured.
    text = ", ".join(f'"{name}": {str(value).lower()}' for name, value in result.items())
    os.write(report, f"{{{text}}}".encode("ascii"))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what packages do on the way out is not part of an import
