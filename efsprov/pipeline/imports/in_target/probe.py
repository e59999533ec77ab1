"""Import modules in this fresh interpreter and tell what that took; run by the target's interpreter (3.9 or newer).

usage: python -I -S -B probe.py SITE REPORT IMPORT...

REPORT first holds the name that is being imported, so that a crash can be reported with its cause, and in the end a JSON
document; the keys are those of `efsprov.pipeline.imports.smoke.SmokeResult`, paths are relative to SITE. REPORT.writes gets
a line for each attempt to change something in SITE: `folder PATH` for a folder to be made, `file PATH` for the rest.
"""

# What is imported here before it is measured would not be measured.
# ruff: noqa: PLC0415, PTH100, PTH123

import os
import sys

PAGE = os.sysconf("SC_PAGE_SIZE")
IN_MEMORY = 0b11 << 62  # of a pagemap entry: present, or swapped out (Linux, admin-guide/mm/pagemap.rst)


class Timeline:
    """What was used, in the order of first use: sources that ran and libraries that were loaded.

    ``order`` tells of each whether it was imported as a module.
    """

    def __init__(self, site: str) -> None:
        self.prefix = site + "/"
        self.order: "dict[str, bool]" = {}

    def hook(self, event: str, args: "tuple[object, ...]") -> None:
        """Note audit EVENT; only what lies in the tree counts.

        ``exec`` has the code object of each module that is run, ``import`` the file of each extension module that is
        about to be loaded, ``ctypes.dlopen`` that of a library.
        """
        if event == "exec":
            path = getattr(args[0], "co_filename", None) if getattr(args[0], "co_name", "") == "<module>" else None
            self._note(path)
        elif event == "import":
            self._note(args[1])
        elif event == "ctypes.dlopen":
            self._note(args[0], imported=False)

    def _note(self, path: object, *, imported: bool = True) -> None:
        if isinstance(path, str) and path.startswith(self.prefix):
            self.order.setdefault(path[len(self.prefix) :], imported)


# Audit events (Python documentation, "Audit events table") with the place of the path among their arguments.
CHANGES = {"os.remove": 0, "os.rmdir": 0, "os.truncate": 0, "os.link": 1, "os.symlink": 1, "os.rename": 1}


class Writes:
    """Notes what wants to change the tree, which functions see read-only; the file has no more than LIMIT lines."""

    LIMIT = 200

    def __init__(self, site: str, file: str) -> None:
        self.prefix = site + "/"
        self.seen: "set[str]" = set()
        self.fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def hook(self, event: str, args: "tuple[object, ...]") -> None:
        """Note audit EVENT, if it changes something in the tree."""
        if event == "open":
            flags = args[2]
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note("file", args[0])
        elif event == "os.mkdir":
            self._note("folder", args[0])
        elif event in CHANGES:
            self._note("file", args[CHANGES[event]])

    def _note(self, kind: str, path: object) -> None:
        if isinstance(path, (str, bytes)):
            name = os.path.abspath(os.fsdecode(path))
            if name.startswith(self.prefix) and name not in self.seen and len(self.seen) < self.LIMIT:
                self.seen.add(name)
                line = f"{kind} {name[len(self.prefix) :]!r}\n"
                os.write(self.fd, line.encode("utf-8", "surrogateescape"))


def touched(site: str) -> "dict[str, list[list[int]]]":
    """{file: [[offset, length], ...]} of the pages of mapped files under SITE that this process has touched; bytes.

    A page counts when this process's own page table holds it: it was used, or lies within the 64 KiB around one that
    was and that the kernel maps along. What a disk read ahead into the page cache does not count.
    """
    found: "dict[str, set[int]]" = {}
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        areas = [line.rstrip("\n").split(None, 5) for line in maps]
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        for area in areas:
            if len(area) == 6 and area[5].startswith(site + "/"):
                start, end = (int(address, 16) // PAGE for address in area[0].split("-"))
                entries = memoryview(os.pread(pagemap, (end - start) * 8, start * 8)).cast("Q")
                first = int(area[2], 16) // PAGE
                pages = found.setdefault(area[5][len(site) + 1 :], set())
                pages.update(first + i for i, entry in enumerate(entries) if entry & IN_MEMORY)
    finally:
        os.close(pagemap)
    return {name: ranges(pages) for name, pages in found.items()}


def ranges(pages: "set[int]") -> "list[list[int]]":
    """[[offset, length], ...] in bytes of runs of PAGES."""
    runs: "list[list[int]]" = []
    for page in sorted(pages):
        if runs and sum(runs[-1]) == page * PAGE:
            runs[-1][1] += PAGE
        else:
            runs.append([page * PAGE, PAGE])
    return runs


def with_dependencies(order: "list[str]", site: str) -> "list[str]":
    """ORDER with the libraries that others need put in before what needs them.

    The dynamic linker lists what it loaded in the order of loading, an extension module before its dependencies, and
    relocates in the opposite order (dl_iterate_phdr(3)).
    """
    import ctypes

    class Info(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))

    loaded: "list[str]" = []

    def see(info: "ctypes._Pointer[Info]", _size: int, _data: object) -> int:
        loaded.append(os.path.realpath(os.fsdecode(info.contents.name or b"")))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)(see)
    ctypes.CDLL(None).dl_iterate_phdr(callback, None)
    groups: "dict[str, list[str]]" = {}
    request = ""
    for path in loaded:
        if path.startswith(site + "/"):
            name = path[len(site) + 1 :]
            if name in order:
                request = name
            else:
                groups.setdefault(request, []).insert(0, name)
    return [*groups.get("", []), *(name for request in order for name in [*groups.get(request, []), request])]


def peak() -> int:
    """The most memory that this process has had in use, in bytes.

    Of this program alone: what getrusage tells includes the parent's memory at the time of the fork (Linux, exec_mmap).
    """
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def file_of(module: object) -> str:
    """``__file__`` of MODULE, asked in a way that makes no lazy module load itself."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else ""


def modules_of(timeline: Timeline) -> "list[str]":
    """Names of the modules whose files are in TIMELINE, in its order: what was loaded before it began is none of them."""
    started = {timeline.prefix + name: at for at, name in enumerate(timeline.order)}
    modules = [(started.get(file_of(module)), name) for name, module in list(sys.modules.items())]
    return [name for _, name in sorted((at, name) for at, name in modules if at is not None)]


def start_as_a_runtime_does() -> None:
    """Put setuptools' distutils in the place of the standard one, if the release has it.

    That is what the start-up file does that Lambda's own site-packages have up to Python 3.11
    (distutils-precedence.pth): there, importing distutils imports the release's setuptools.
    """
    import contextlib
    import importlib

    if sys.version_info < (3, 12):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("_distutils_hack").add_shim()


def main(site: str, report: str, imports: "list[str]") -> None:
    """Import IMPORTS in order with SITE first on the path, as the shim puts it, and write REPORT."""
    import importlib
    import site as builtins_of_a_normal_start
    import time

    builtins_of_a_normal_start.setquit()
    builtins_of_a_normal_start.setcopyright()
    builtins_of_a_normal_start.sethelper()
    site = os.path.realpath(site)
    sys.argv[:] = [""]
    sys.path.insert(0, site)
    start_as_a_runtime_does()
    timeline = Timeline(site)
    sys.addaudithook(timeline.hook)
    sys.addaudithook(Writes(site, f"{report}.writes").hook)
    process = os.getpid()
    wall, cpu = time.perf_counter(), time.process_time()
    starts = []
    for name in imports:
        starts.append(len(timeline.order))
        with open(report, "w", encoding="utf-8") as out:
            out.write(name)
        importlib.import_module(name)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if os.getpid() != process:  # a child that a package forked and that came back from its import
        os._exit(0)
    order = list(timeline.order)
    imported = {name for name in order if timeline.order[name]}
    try:
        libraries = touched(site)
    except OSError:  # a kernel or a sandbox without pagemap: then nothing is known, and nothing is read ahead
        libraries = {}

    import json
    import linecache

    lines = [path for path, entry in list(linecache.cache.items()) if len(entry) > 1]
    complete = with_dependencies(order, site)
    moved = [*map(complete.index, order), len(complete)]
    document = {
        "imports": imports,
        "modules": modules_of(timeline),
        "order": complete,
        "loaded": [name for name in complete if name not in imported],
        "starts": [moved[at] for at in starts],
        "quoted": [path[len(site) + 1 :] for path in lines if path.startswith(site + "/")],
        "libraries": libraries,
        "seconds": wall,
        "cpu_seconds": cpu,
        "max_rss": peak(),
    }
    with open(report, "w", encoding="utf-8", errors="surrogateescape") as out:
        json.dump(document, out)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the proof is that it imports; what packages do on the way out is not asked


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
