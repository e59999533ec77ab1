"""Compile every source of a tree; run by the target's interpreter (3.9 or newer), with its standard library alone.

usage: python -I -S compile.py SITE JOBS [-]

With ``-``, the sources are read from standard input, as NUL-ended names relative to SITE. Prints, as NUL-ended names relative to SITE, the sources that do not compile, then ``+`` and how many did.
"""

# A few thousand files: pathlib would be felt.
# ruff: noqa: PTH102, PTH108, PTH116, PTH120, PTH123

import contextlib
import importlib.util
import marshal
import os
import sys
import warnings

UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552: never compared with the source, which never changes
RECORD = 4


def main(site: str, jobs: int, *, named: bool) -> None:
    """Share the sources of SITE, all or those that are NAMED, among JOBS processes, largest first.

    Processes are forked by hand: multiprocessing needs the semaphores of /dev/shm, which a Lambda function has not.
    """
    os.chdir(site)
    warnings.simplefilter("ignore")  # a package's SyntaxWarning is its author's business
    os.umask(0o022)  # a function runs as another user
    names = largest_first(sys.stdin.buffer.read().split(b"\0")[:-1]) if named else sources()
    tickets, feed = os.pipe()
    results, answer = os.pipe()
    workers = []
    for _ in range(min(jobs, len(names))):
        pid = os.fork()
        if not pid:
            os.close(feed)
            os.close(results)
            work(names, tickets, answer)
            os._exit(0)
        workers.append(pid)
    os.close(tickets)
    os.close(answer)
    with contextlib.suppress(BrokenPipeError):  # no worker left: their exit codes say so below
        for first in range(0, len(names), 4096 // RECORD):
            block = range(first, min(first + 4096 // RECORD, len(names)))
            os.write(feed, b"".join(i.to_bytes(RECORD, "little") for i in block))
    os.close(feed)
    with open(results, "rb") as stream:
        output = stream.read()
    if any(os.waitpid(pid, 0)[1] for pid in workers):
        sys.exit("a compiling process died")
    failed = sorted(output.split(b"\0")[:-1])
    os.write(1, b"".join(name + b"\0" for name in failed) + b"+%d" % (len(names) - len(failed)))


def sources() -> "list[str]":
    """Names of all sources under the current directory, the largest first so that no process ends long after the others."""
    found = []
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{folder}{entry.name}/")
                elif entry.name.endswith(".py") and entry.is_file():
                    found.append((-entry.stat().st_size, folder + entry.name))
    return [name for _, name in sorted(found)]


def largest_first(names: "list[bytes]") -> "list[str]":
    """NAMES as text, in the order of ``sources``."""
    return [name for _, name in sorted((-os.stat(name).st_size, os.fsdecode(name)) for name in names)]


def work(names: "list[str]", tickets: int, answer: int) -> None:
    """Compile the sources whose numbers are read from TICKETS; write the names of those that fail to ANSWER."""
    while True:
        ticket = os.read(tickets, RECORD)  # whole records only: a pipe's readers take turns
        if not ticket:
            return
        name = names[int.from_bytes(ticket, "little")]
        try:
            compile_one(name)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):  # templates, Python 2, NUL bytes
            os.write(answer, os.fsencode(name) + b"\0")


def compile_one(name: str) -> None:
    """Write the bytecode of source NAME where the interpreter looks for it.

    NAME, relative to the tree, is what the code objects carry: the loader replaces it by the real path wherever the
    tree is mounted, and the same source gives the same bytes in every release, which can then be one file.
    """
    with open(name, "rb") as file:
        source = file.read()
    code = compile(source, name, "exec", dont_inherit=True)
    cached = importlib.util.cache_from_source(name)
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.dirname(cached))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(cached)  # may be a hard link to the installer's cache
    with open(cached, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source))
        file.write(marshal.dumps(code))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), named=sys.argv[3:] == ["-"])
