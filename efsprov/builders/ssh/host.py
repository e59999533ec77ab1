"""A host that is reached over SSH, whatever happens to the connection."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from efsprov.builders.failures import ConnectionFailure, is_lost
from efsprov.builders.ssh.connection import Completed, SshConnection
from efsprov.builders.ssh.destination import SshTarget
from efsprov.core.errors import BuilderError
from efsprov.net.retry import RECONNECT, Policy, Sleep, call

T = TypeVar("T")
FIRST_CONTACT: Final = Policy("first contact", attempts=3, seconds=45, first=0.5, longest=4)
"""A host that was never reached is more likely misspelt than away."""


class Host:
    """Runs programs on a host, over a connection that is made again when it breaks; a context manager.

    What is given to it may therefore run twice, and has to be of a kind for which that is harmless.
    """

    def __init__(
        self,
        target: SshTarget,
        *,
        first_contact: Policy = FIRST_CONTACT,
        reconnect: Policy = RECONNECT,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.target = target
        self._first_contact = first_contact
        self._reconnect = reconnect
        self._sleep = sleep
        self._connection: SshConnection | None = None
        self._seen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next use makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def execute(self, argv: Sequence[str], stdin: bytes = b"") -> Completed:
        """Run a program that may run twice, to its end. Raises ``BuilderError`` when the host cannot be reached."""
        return self.patiently(lambda connection: connection.execute(argv, stdin))

    def patiently(self, use: Callable[[SshConnection], T]) -> T:
        """Return ``use(connection)``, again with a new connection when one broke; ``BuilderError`` when that is of no use."""
        policy = self._reconnect if self._seen else self._first_contact
        try:
            return call(policy, lambda: self.once(use), when=is_lost, sleep=self._sleep)
        except ConnectionFailure as failure:
            raise self._for_user(failure, policy) from failure

    def once(self, use: Callable[[SshConnection], T]) -> T:
        """Return ``use(connection)``; raises ``ConnectionFailure`` and forgets a connection that broke."""
        with self._forgotten_when_broken():
            if self._connection is None:
                self._connection = SshConnection(self.target)
                self._seen = True
            return use(self._connection)

    @contextlib.contextmanager
    def _forgotten_when_broken(self) -> Iterator[None]:
        try:
            yield
        except BaseException:  # Ctrl-C in the middle of a packet leaves a connection unusable, too
            self.close()
            raise

    def _for_user(self, failure: ConnectionFailure, policy: Policy) -> BuilderError:
        if not is_lost(failure) or policy is self._first_contact:
            return failure.for_user()
        return BuilderError(
            f"{failure.message} It could not be made again in {policy.seconds:.0f} s.", hint=failure.hint
        )
