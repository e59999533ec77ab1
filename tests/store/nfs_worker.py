"""A process on an NFS client that does what it is told, one JSON line a command, so that the interpreter starts once.

    python -m tests.store.nfs_worker ROOT NAME

A command is {"do": ..., "id": ..., and its parameters}; the answer has the same id and a result or an error. Commands run
side by side: one that pauses (at a call of a kind whose target contains a text) goes on after {"do": "go"}.
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from efsprov.core.errors import EfsprovError
from efsprov.core.retention import Rules
from efsprov.store.current import read_current
from efsprov.store.fs.fileops import FileOps
from efsprov.store.fs.lookup import lstat
from efsprov.store.journal import append, read_entries, read_state
from efsprov.store.layout import Root
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import activate, rollback
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.repair import repair
from efsprov.store.verify import check_channel, check_release
from tests.store.crash_programs import RULES
from tests.store.faulty_ops import CALLS
from tests.store.minisync import NAME, TARGET, build, open_channel, sync


class PausingOps(FileOps):
    """Stops before (or after) a call named ``call`` whose arguments contain ``text``, the ``nth``, until told to go on."""

    def __init__(self, call: str, text: str, nth: int = 1, *, after: bool, paused: Any) -> None:
        self.pending = nth
        self.call, self.text, self.after, self.paused = call, text, after, paused
        self.go = threading.Event()

    def around(self, name: str, do: Any, arguments: str) -> Any:
        mine = name == self.call and self.text in arguments
        if mine:
            self.pending -= 1
            mine = self.pending == 0
        if mine and not self.after:
            self.pause()
        result = do()
        if mine and self.after:
            self.pause()
        return result

    def pause(self) -> None:
        self.paused()
        self.go.wait()


def _pausing(name: str) -> Any:
    original = getattr(FileOps, name)

    def call(self: PausingOps, *args: Any, **kwargs: Any) -> Any:
        return self.around(name, lambda: original(self, *args, **kwargs), " ".join(map(str, args)))

    return call


for _name in CALLS:
    setattr(PausingOps, _name, _pausing(_name))


class Worker:
    """The commands. ``channel`` names the channel, where a command has one."""

    def __init__(self, root: Path, by: str) -> None:
        self._root, self._by = root, by
        self._local = Path(tempfile.mkdtemp(prefix="efsprov-worker-"))
        self._paused: list[PausingOps] = []
        self._writing = threading.Lock()
        self._folder: int | None = None

    def serve(self) -> None:
        self.answer({"ready": self._by})
        for line in sys.stdin:
            command = json.loads(line)
            threading.Thread(target=self._run, args=(command,), daemon=True).start()

    def answer(self, what: dict[str, Any]) -> None:
        with self._writing:
            print(json.dumps(what), flush=True)

    def _run(self, command: dict[str, Any]) -> None:
        number, name = command.pop("id"), command.pop("do")
        try:
            result = getattr(self, name)(number, **command) if name == "sync" else getattr(self, name)(**command)
            self.answer({"id": number, "result": result})
        except EfsprovError as error:
            self.answer({"id": number, "error": type(error).__name__, "message": str(error)})
        except OSError as error:
            self.answer({"id": number, "error": "OSError", "message": repr(error)})

    def _channel(self, name: str = NAME, ops: FileOps | None = None) -> Any:
        return open_channel(self._root, name=name, ops=ops, by=self._by)

    def sync(
        self,
        command: int,
        *,
        number: int,
        channel: str = NAME,
        extra: int = 0,
        modules: int = 0,
        activate: bool = True,
        wait: bool = True,
        pause: tuple[str, str] | tuple[str, str, int] | None = None,
        after: bool = False,
    ) -> str:
        ops = None
        if pause is not None:
            ops = PausingOps(*pause, after=after, paused=lambda: self.answer({"paused": command}))
            self._paused.append(ops)
        built = build(self._local / f"{channel}-{number}-{extra}", number, extra=extra, modules=modules)
        return sync(self._channel(channel, ops), built, activate=activate, wait=wait)

    def syncs(self, first: int, count: int) -> list[str]:
        """One after the other; what another publisher overtook is published and counts."""
        done = []
        for number in range(first, first + count):
            channel, built = self._channel(), build(self._local / "many", number)
            with contextlib.suppress(EfsprovError):
                done.append(sync(channel, built))
        return done

    def go(self) -> None:
        while self._paused:
            self._paused.pop(0).go.set()

    def hold_lock(self, channel: str = NAME) -> None:
        with publisher_lock(self._channel(channel), wait=True):
            self.answer({"held": channel})
            threading.Event().wait()

    def activate(self, release: str, channel: str = NAME) -> str | None:
        return activate(self._channel(channel), release)

    def rollback(self, channel: str = NAME) -> tuple[str, str]:
        return rollback(self._channel(channel))

    def prune(self, *, grace: bool = False) -> dict[str, Any]:
        channel = self._channel()
        report = execute_prune(channel, plan_prune(channel, Rules(keep_last=1) if grace else RULES))
        return {"pruned": report.pruned, "left": report.left, "spared": [d.release for d in report.spared]}

    def repair(self, channel: str = NAME) -> tuple[str, ...]:
        return repair(self._channel(channel))

    def append_pin(self, release: str, after: int) -> int:
        return append(self._channel(), "pin", release, after=after).number

    def _read(self, channel: str) -> Any:
        return Root.open(self._root).channel(channel, TARGET)

    def entries(self, channel: str = NAME) -> list[tuple[int, str, str, str]]:
        return [(e.number, e.do, e.release, e.by) for e in read_entries(self._read(channel))]

    def current(self, channel: str = NAME) -> tuple[str | None, str | None]:
        """By the journal, and by the link."""
        return read_state(self._read(channel)).current, read_current(self._read(channel))

    def findings(self, channel: str = NAME) -> list[str]:
        opened = self._read(channel)
        found = list(check_channel(opened))
        for release in read_state(opened).live:
            found += check_release(opened, release.id, full=True)
        return [str(finding) for finding in found]

    def by_path(self, channel: str = NAME) -> tuple[str, str]:
        """As a reader does that does not open the folder first: the release and its marker file."""
        folder = self._read(channel).path
        release = str((folder / "current").readlink())
        return release.removeprefix("releases/"), (folder / "current/site/framework/__init__.py").read_text().strip()

    def by_folder(self, channel: str = NAME) -> str:
        """As the shim does."""
        fd = os.open(self._read(channel).path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.readlink("current", dir_fd=fd).removeprefix("releases/")
        finally:
            os.close(fd)

    def there(self, path: str) -> tuple[bool, bool]:
        """Whether a path below the root is there: as the cache has it, and as the server is asked."""
        return os.path.lexists(self._root / path), lstat(self._root / path) is not None

    def open_file(self, release: str) -> None:
        self._folder = os.open(self._channel().release_path(release) / "pylock.toml", os.O_RDONLY)

    def close_file(self) -> None:
        assert self._folder is not None
        os.close(self._folder)


if __name__ == "__main__":
    Worker(Path(sys.argv[1]), sys.argv[2]).serve()
