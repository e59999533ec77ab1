"""Hashes the large files of a site while an installer is still putting it in place: its processors are half idle."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from efsprov.core.record import RecordEntry
from efsprov.pipeline.stage.hashing import HashedFile, hash_file
from efsprov.pipeline.stage.inspect_wheel import Wheel

_WAIT_SECONDS: Final = 0.02


class HashAhead:
    """Hashes what appears under ``site`` of the large files of wheels, the largest first, from ``start`` to ``stop``.

    (Of a small one, to find out whether it is there yet costs as much as to hash it.) A file may be seen half written. So
    only a hash that is the one in its RECORD counts, and only for the file, with its inode, size and time, that was read.
    As a context manager it stops at the end.
    """

    def __init__(self, site: Path) -> None:
        self._site = site
        self._expected: Mapping[str, RecordEntry] = {}
        self._waiting: deque[str] = deque()
        self._found: dict[str, HashedFile] = {}
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def count(self) -> int:
        """How many files were hashed."""
        return len(self._found)

    def start(self, wheels: Iterable[Wheel]) -> None:
        """Begin; the installer may have begun before."""
        large = sorted(
            ((size, path, wheel) for wheel in wheels for path, size in wheel.large.items()), key=lambda f: -f[0]
        )
        self._expected = {path: wheel.files[path] for _, path, wheel in large}
        self._waiting.extend(self._expected)
        for number in range(os.cpu_count() or 1):
            thread = threading.Thread(target=self._work, name=f"hash-ahead-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> dict[str, HashedFile]:
        """Let the threads end what they have in hand, and return what was hashed, by path."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return self._found

    def _work(self) -> None:
        missed = 0
        while not self._stopped.is_set():
            try:
                path = self._waiting.popleft()
            except IndexError:
                return
            entry = self._expected[path]
            with suppress(OSError, ValueError):  # not there yet, or empty yet
                file = hash_file(f"{self._site}/{path}", entry.algorithm)
                if file.digest == entry.digest:
                    self._found[path] = file
                    missed = 0
                    continue
            self._waiting.append(path)
            missed += 1
            if missed > len(self._waiting):
                self._stopped.wait(_WAIT_SECONDS)
                missed = 0
