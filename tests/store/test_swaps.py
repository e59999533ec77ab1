"""Readers in other processes while `current` is swapped: each sees one release or the other, whole, always."""

import json
import subprocess
import sys

from efsprov.store.current import project
from efsprov.store.journal import append
from tests.store.faulty_ops import FaultyOps
from tests.store.minisync import open_channel, sync

SWAPS, RESOLVES, READERS = 1_000, 100_000, 2

# What the shim does (open the channel's folder, readlink relative to it), and then one file of the release.
READER = """
import json, os, sys
folder, count, seen, swaps, last = sys.argv[1], int(sys.argv[2]), {}, 0, None
import select
n = 0
while n < count or not select.select([sys.stdin], [], [], 0)[0]:
    n += 1
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        release = os.readlink("current", dir_fd=opened)
        file = os.open(release + "/site/framework/__init__.py", os.O_RDONLY, dir_fd=opened)
        try:
            text = os.read(file, 100).decode()
        finally:
            os.close(file)
    finally:
        os.close(opened)
    seen.setdefault(release, set()).add(text)
    swaps += release != last
    last = release
    if n == 100:
        print("reading", flush=True)
print(json.dumps({"seen": {release: sorted(texts) for release, texts in seen.items()}, "swaps": swaps, "resolves": n}))
"""


def test_a_thousand_swaps_fail_none_of_a_hundred_thousand_resolves(channel, builds):
    ids = [sync(channel, builds[number]) for number in (1, 2)]
    channel = open_channel(channel.root.path, ops=FaultyOps())  # which synchronises nothing: more swaps a second
    readers = [
        subprocess.Popen(
            [sys.executable, "-ISc", READER, str(channel.path), str(RESOLVES // READERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(READERS)
    ]
    for reader in readers:
        assert reader.stdout.readline() == "reading\n"
    for n in range(SWAPS):
        append(channel, "activate", ids[n % 2], after=4 + n)
        assert project(channel)
    answers = [json.loads(reader.communicate()[0]) for reader in readers]
    assert [reader.returncode for reader in readers] == [0] * READERS
    for answer in answers:
        assert answer["seen"] == {f"releases/{ids[0]}": ["NUMBER = 1\n"], f"releases/{ids[1]}": ["NUMBER = 2\n"]}
        assert answer["swaps"] > 10
    assert sum(answer["resolves"] for answer in answers) >= RESOLVES


def test_the_way_they_are_swapped_matters(channel, builds):
    """The same readers notice a swap in two steps: so they would notice a failure above."""
    ids = [sync(channel, builds[number]) for number in (1, 2)]
    reader = subprocess.Popen(
        [sys.executable, "-ISc", READER, str(channel.path), "100000000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout.readline() == "reading\n"
    while reader.poll() is None:
        for release in ids:
            channel.current.unlink(missing_ok=True)
            channel.current.symlink_to(f"releases/{release}")
    assert "FileNotFoundError" in reader.communicate()[1]
