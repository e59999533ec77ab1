"""The part of a sync that touches the root: from the publisher lock to the activation, of a tree that is composed.

usage: python sync_tail.py ROOT CHANNEL TARGET LOCK_DIGEST TREE FILE_LIST

Runs where the root is mounted, an NFS client of the lab. Writes JSON lines: one for each event of the copy and the end of
each step, with the mount's counters at that moment (but for progress), and last the peak of its own memory.
"""

import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devtools.nfs_lab.mountstats import parse
from efsprov.core import filelist
from efsprov.core.events import Event
from efsprov.core.manifest import Builder, Manifest
from efsprov.pipeline.publish.place import place
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.layout import Root
from efsprov.store.publish import activate_published, publish
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import prepare_for_publishing


def main() -> None:
    root, name, target, lock_digest, tree, listed = sys.argv[1:]
    mount = "/".join(root.split("/")[:3])  # /mnt/a

    def say(**what: Any) -> None:
        if what["state"] != "progress":  # ten times a second would be a load of its own
            what["rpcs"] = parse(Path("/proc/self/mountstats").read_text("utf-8"), mount).as_json()
        sys.stdout.write(json.dumps({**what, "at": time.monotonic()}) + "\n")
        sys.stdout.flush()

    def emit(event: Event) -> None:
        say(step=event.step, state=event.state, done=event.done, total=event.total, message=event.message)

    files = filelist.parse(Path(listed).read_text("utf-8", "surrogateescape"), where=listed)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(step="sync", state="started")
    channel = Root.open(Path(root), writing=True).channel(name, target)
    steps = ProgressReporter(emit)
    with publisher_lock(channel, wait=False) as lock:
        prepared = prepare_for_publishing(lock, keep_staging=lock_digest[:16])
        figures = place(lock, Path(tree), files, prepared.staging, prepared.state, steps)
        say(step="memory", state="finished", before=resident, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        draft = Manifest(
            id="",
            tx=channel.writer.new_tx(),
            channel=name,
            target=target,
            created=datetime.now(UTC),
            lock_digest=lock_digest,
            files_sha256="",
            builder=Builder(kind="local", host="lab", python="", efsprov=""),
            figures=figures,
        )
        with steps.step("publish"):
            manifest = publish(lock, prepared.staging, filelist.dump(files), draft, since=prepared.state)
        with steps.step("activate"):
            activate_published(channel, manifest.id, since=prepared.state)
    say(step="sync", state="finished", linked=figures.linked_files, linked_bytes=figures.linked_bytes)


main()
