"""`nfs_worker` on a client of the lab, as a test holds it."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from devtools.nfs_lab import Guest, Process
from devtools.nfs_lab.guest import MOUNTS, Client

HERE = Path(__file__).parents[2]


class Refused(Exception):  # noqa: N818
    """A command failed in the worker: ``kind`` is the name of its exception's class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


class Request:
    """A command that was sent: its answer can be waited for."""

    def __init__(self, process: Process, number: int) -> None:
        self._process, self._number = process, number

    def paused(self, timeout: float = 60) -> "Request":
        """Wait until it pauses."""
        self._process.wait_for(f'{{"paused": {self._number}}}\n', timeout)
        return self

    def result(self, timeout: float = 120) -> Any:
        """Its result; raises `Refused`."""
        output = self._process.wait_for(f'{{"id": {self._number}, ', timeout)
        while not output.endswith("\n"):
            output = self._process.wait_for("\n", timeout)
        for line in output.splitlines():
            answer = json.loads(line)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise Refused(answer["error"], answer["message"])
                return answer["result"]
        raise AssertionError(output)


class Worker:
    """A worker that runs on a client until the guest ends its programs."""

    def __init__(self, guest: Guest, client: Client, name: str = "") -> None:
        self.name = name or f"worker-{client}"
        argv = [sys.executable, "-m", "tests.store.nfs_worker", f"{MOUNTS[client]}/root", self.name]
        self.process = guest.start(client, argv, cwd=HERE)
        self._numbers = itertools.count(1)

    def ready(self) -> "Worker":
        self.process.wait_for(f'{{"ready": "{self.name}"}}\n')
        return self

    def start(self, do: str, **parameters: Any) -> Request:
        """Send a command; several may be under way."""
        number = next(self._numbers)
        self.process.write(json.dumps({"id": number, "do": do, **parameters}) + "\n")
        return Request(self.process, number)

    def ask(self, do: str, **parameters: Any) -> Any:
        """Send a command and return its result; raises `Refused`."""
        return self.start(do, **parameters).result()
