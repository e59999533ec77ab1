"""Programs in the guest, as the host holds them."""

import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from devtools.nfs_lab.errors import GuestDiedError, LabError, LabTimeoutError

PROGRAM_SECONDS = 120.0


@dataclass(frozen=True)
class Completed:
    """A program that ended: what it wrote, and its exit code (negative: the signal that killed it)."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def checked(self) -> Self:
        """Itself if the program succeeded; raises LabError with what it wrote if not."""
        if self.code:
            raise LabError(f"{' '.join(self.argv)} exited with {self.code}\n{self.stdout}{self.stderr}")
        return self


class Request(Protocol):
    """The guest, as far as its programs need it."""

    def request(self, request: str, **arguments: Any) -> Any:
        """Ask the agent in the guest."""

    def death(self, during: str) -> GuestDiedError:
        """The error that says why the guest is gone."""


class Process:
    """A program that runs in the guest."""

    def __init__(self, guest: Request, job: str, argv: tuple[str, ...], stdout: Path, stderr: Path) -> None:
        self._guest = guest
        self._job = job
        self._argv = argv
        self._stdout, self._stderr = stdout, stderr
        self._ended = threading.Event()
        self._code: int | None = None
        self._overran = False
        self.pid = 0

    @property
    def stdout(self) -> str:
        """What it has written to standard output so far."""
        return self._stdout.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written to standard error so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._code

    def wait(self, timeout: float = PROGRAM_SECONDS) -> Completed:
        """Wait for its end; raises LabTimeoutError (the program goes on) or GuestDiedError."""
        if not self._ended.wait(timeout):
            raise LabTimeoutError(f"{' '.join(self._argv)} still runs after {timeout} s\n{self.stdout}{self.stderr}")
        if self._overran:
            raise LabTimeoutError(f"{' '.join(self._argv)} was killed, its time was up\n{self.stdout}{self.stderr}")
        if self._code is None:
            raise self._guest.death(" ".join(self._argv))
        return Completed(self._argv, self._code, self.stdout, self.stderr)

    def wait_for(self, text: str, timeout: float = PROGRAM_SECONDS) -> str:
        """Wait until its standard output holds ``text`` and return the output; raises LabError if it ends before."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self._ended.is_set()  # asked before the output is read, or the last words were lost
            if text in (output := self.stdout):
                return output
            if ended:
                raise LabError(f"{' '.join(self._argv)} ended without {text!r}\n{output}{self.stderr}")
            if time.monotonic() > deadline:
                raise LabTimeoutError(f"{' '.join(self._argv)}: no {text!r} in {timeout} s\n{output}{self.stderr}")
            time.sleep(0.02)

    def write(self, text: str) -> None:
        """Write to its standard input."""
        self._guest.request("write", job=self._job, text=text)

    def close_input(self) -> None:
        """End of file on its standard input."""
        self._guest.request("close_input", job=self._job)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        self._guest.request("signal", job=self._job, signal=int(number))

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def ended(self, code: int | None, *, overran: bool = False) -> None:
        """Called by the guest when the program, or the guest itself, is gone."""
        self._code, self._overran = code, overran
        self._ended.set()
