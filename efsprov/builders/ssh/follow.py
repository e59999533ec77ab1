"""Follows a run on a host to its end, through lost connections: no event is missed, none is reported twice."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from efsprov.builders.failures import ConnectionFailure, is_lost
from efsprov.builders.remote import wire
from efsprov.builders.remote.commands import BEAT_SECONDS
from efsprov.builders.ssh.host import Host
from efsprov.core.build import BuildResult
from efsprov.core.errors import BuilderError, EfsprovError
from efsprov.core.events import Emit, Event
from efsprov.net.retry import RECONNECT, Policy, Sleep, call

if TYPE_CHECKING:
    from efsprov.builders.ssh.connection import SshConnection

_SILENCE: Final = 6 * BEAT_SECONDS
_CANCEL_SECONDS: Final = 40.0


@dataclass
class Follower:
    """Follows one run. ``command`` starts the host's remote side, ``lease`` is a file there that each beat renews."""

    host: Host
    command: Sequence[str]
    run: str
    emit: Emit
    lease: str = ""
    reconnect: Policy = RECONNECT
    sleep: Sleep = time.sleep
    number: int = field(default=0, init=False)

    def to_the_end(self, *, seconds: float = float("inf")) -> BuildResult:
        """Hand on the run's events and return its result, or raise its error; after ``seconds``, raise BuilderError.

        Ctrl-C cancels the run on the host and is raised again when it has ended there; if it was done before it could
        be stopped, its result is returned: the user must not hear that nothing changed.
        """
        try:
            last = self._last_line(seconds=seconds)
        except KeyboardInterrupt:
            done = self._cancel()
            if done is None:
                raise
            self.emit(Event(step="launch", state="note", message="The run was done before it could be stopped."))
            return done
        with contextlib.suppress(EfsprovError):  # it would be removed a week later
            self.host.execute([*self.command, "remove", self.run])
        return wire.read_result(last)

    def _last_line(self, *, seconds: float = float("inf")) -> wire.Line:
        """Return the run's last line; attaches again, with the policy's patience again, as often as anything comes in."""
        until = time.monotonic() + seconds
        while True:
            try:
                last = call(self.reconnect, lambda: self._attach(until), when=is_lost, sleep=self.sleep)
            except ConnectionFailure as failure:
                raise self._given_up(failure) from failure
            if last is not None:
                return last
            if time.monotonic() >= until:
                raise BuilderError(f"The run {self.run} on {self.host.target.host} did not end in {seconds:.0f} s.")

    def _attach(self, until: float) -> wire.Line | None:
        """Follow the run over one connection. Returns its last line; None when the connection broke after some lines."""
        heard = [False]
        try:
            return self.host.once(lambda connection: self._listen(connection, until, heard))
        except ConnectionFailure as failure:
            if is_lost(failure) and heard[0]:
                return None
            raise

    def _listen(self, connection: "SshConnection", until: float, heard: list[bool]) -> wire.Line | None:
        attach = [*self.command, "attach", self.run, str(self.number), *([self.lease] if self.lease else [])]
        unread = b""
        with contextlib.closing(connection.start(attach)) as program:
            program.write(b".")
            spoken = listened = time.monotonic()
            while (now := time.monotonic()) < until:
                piece = program.read(1.0)
                if now - spoken >= BEAT_SECONDS:
                    program.write(b".")
                    spoken = now
                if piece == b"":
                    raise BuilderError(
                        f"The builder stopped talking, exit code {program.exit_code()}. {program.stderr}".rstrip(),
                        hint="Is there room on the host's disk? The run's folder is in ~/.local/state/efsprov/runs there.",
                    )
                if piece is None:
                    if now - listened > _SILENCE:
                        raise ConnectionFailure("lost", f"{connection.label} has fallen silent.")
                    continue
                listened = now
                *lines, unread = (unread + piece).split(b"\n")
                if len(unread) > wire.MAX_LINE:
                    wire.parse(unread)  # raises: no line is that long
                for text in lines:
                    line = wire.parse(text)
                    heard[0] = True
                    if line.last:
                        return line
                    self._tell(line)
        return None

    def _tell(self, line: wire.Line) -> None:
        if line.kind == "event" and line.number > self.number:
            self.number = line.number
            self.emit(wire.read_event(line))

    def _cancel(self) -> BuildResult | None:
        """Cancel the run and wait until it has ended, so that nothing of it goes on behind the user's back.

        Returns its result if it has one all the same.
        """
        with contextlib.suppress(EfsprovError):  # what the run ended with is the cancellation that was asked for
            self.host.execute([*self.command, "cancel", self.run])
            last = self._last_line(seconds=_CANCEL_SECONDS)
            self.host.execute([*self.command, "remove", self.run])
            return wire.read_result(last)
        return None

    def _given_up(self, failure: ConnectionFailure) -> BuilderError:
        if not is_lost(failure):
            return failure.for_user()
        return BuilderError(
            f"{failure.message} It could not be made again in {self.reconnect.seconds:.0f} s; "
            f"the build may still be going on there (run {self.run}).",
            hint="Run the same command again when the host is back: a release that was published meanwhile is found by its lock.",
        )
