"""The host's side of the conversation with the guest's agent: JSON lines over the machine's serial line."""

import contextlib
import itertools
import json
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devtools.nfs_lab.errors import LabError, LabTimeoutError

_LINE_BYTES = 512
Message = Mapping[str, Any]


class BrokenChannelError(LabError):
    """Nobody at the other end any more."""


class Channel:
    """Requests with their answers, from any thread; what the agent says unasked goes to ``on_event``, in order."""

    def __init__(self, line: socket.socket, folder: Path, on_event: Callable[[Message], None]) -> None:
        self._line = line
        self._folder = folder
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._broken = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def broken(self) -> bool:
        """Whether the other end is gone."""
        return self._broken.is_set()

    def request(self, request: str, arguments: Message, seconds: float) -> Any:
        """Ask and return the answer; raises LabError with the agent's reason, LabTimeoutError or BrokenChannelError."""
        number = next(self._numbers)
        answer: queue.SimpleQueue[Message] = queue.SimpleQueue()
        line = self._written(number, {"id": number, "request": request, **arguments})
        try:
            with self._changing:
                self._answers[number] = answer
                if self._broken.is_set():
                    raise BrokenChannelError(request)
            with self._writing:
                self._line.sendall(line)
            got = answer.get(timeout=seconds)
        except OSError as error:
            raise BrokenChannelError(request) from error
        except queue.Empty:
            raise LabTimeoutError(f"the guest did not answer {request!r} within {seconds} s") from None
        finally:
            with self._changing:
                self._answers.pop(number, None)
        if "broken" in got:
            raise BrokenChannelError(request)
        if "error" in got:
            raise LabError(got["error"])
        return got["result"]

    def _written(self, number: int, request: Message) -> bytes:
        """The request, or where it is written down: a serial line stalls at times when its 4 KB buffer is full."""
        line = json.dumps(request)
        if len(line) >= _LINE_BYTES:
            path = self._folder / f"{number}.request"
            path.write_text(line, encoding="utf-8")
            line = json.dumps({"file": str(path)})
        return line.encode() + b"\n"

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._line.makefile("rb") as lines:
            while line := lines.readline():
                message = json.loads(line)
                if "answer" in message:
                    with self._changing:
                        if answer := self._answers.get(message["answer"]):
                            answer.put(message)
                else:
                    self._on_event(message)
        with self._changing:
            self._broken.set()
            for answer in self._answers.values():
                answer.put({"broken": True})
        self._on_event({"event": "broken"})
