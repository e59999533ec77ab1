"""A copy in a process of its own, for clients of the NFS lab.

usage: python -m tests.store.copy_program SOURCE STAGING FILE_LIST [--release DIR] [--kill-at BYTES]

Prints the report as JSON. ``--release`` is a folder with a file list to link from; ``--kill-at`` ends the process by
SIGKILL when so many bytes were handed to the kernel.
"""

import argparse
import dataclasses
import json
import os
import signal
from pathlib import Path

from efsprov.core import filelist
from efsprov.store.copying.copy import CopyLimits, copy_tree
from efsprov.store.copying.hard_links import LinkIndex, LinkSource
from efsprov.store.fs.fileops import FileOps


class Killed(FileOps):
    """Ends the process when ``left`` bytes were written."""

    def __init__(self, left):
        self.left = left

    def write(self, fd, data):
        self.count(data)
        return super().write(fd, data)

    def pwrite(self, fd, data, offset):
        self.count(data)
        return super().pwrite(fd, data, offset)

    def count(self, data):
        self.left -= len(data)
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("staging", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("--release", type=Path)
    parser.add_argument("--kill-at", type=int)
    options = parser.parse_args()
    files = filelist.parse(options.files.read_text("utf-8", "surrogateescape"), where="files")
    links = LinkIndex.build(files, [(LinkSource.of(options.release), files)] if options.release else [])
    ops = FileOps() if options.kill_at is None else Killed(options.kill_at)
    # Few workers have few files in their hands when they die.
    limits = CopyLimits() if options.kill_at is None else CopyLimits(workers=4, buffers=4, buffer_size=64 << 10)
    report = copy_tree(options.source, options.staging, files, ops=ops, links=links, limits=limits)
    print(json.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main()
