"""A pull of a bundle onto a root, as JSON lines with the mount's counters, as `sync_tail.py` writes them.

usage: python pull_tail.py ROOT OCI_FOLDER BUNDLE

Runs where the root is mounted, an NFS client of the lab.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from devtools.nfs_lab.mountstats import parse
from efsprov.bundle.blobs import open_bundle
from efsprov.bundle.folder import FolderPlace
from efsprov.bundle.pull import pull, read_contents
from efsprov.core.events import Event
from efsprov.core.manifest import Manifest
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.layout import Root
from efsprov.store.verify import read_manifest


def main() -> None:
    root, folder, name = sys.argv[1:]
    mount = "/".join(root.split("/")[:3])  # /mnt/a

    def say(**what: Any) -> None:
        if what["state"] != "progress":
            what["rpcs"] = parse(Path("/proc/self/mountstats").read_text("utf-8"), mount).as_json()
        sys.stdout.write(json.dumps({**what, "at": time.monotonic()}) + "\n")
        sys.stdout.flush()

    def emit(event: Event) -> None:
        say(step=event.step, state=event.state, done=event.done, total=event.total, message=event.message)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(step="pull", state="started")
    contents = read_contents(open_bundle(FolderPlace(Path(folder)), name), Manifest)
    channel = Root.open(Path(root), writing=True).channel(contents.manifest.channel, contents.manifest.target)
    done = pull(
        channel, contents, ProgressReporter(emit), run="run-of-a-benchmark", reader=read_manifest, activate=True
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    linked = done.manifest.figures.linked_files
    say(step="pull", state="finished", linked=linked, before=before, peak=peak)


main()
