"""What can go wrong between here and a host, and whether trying again makes sense."""

from typing import Literal

from efsprov.core.errors import BuilderError


class ConnectionFailure(Exception):  # noqa: N818 - never the user's to see: the builders make a BuilderError of it
    """What went wrong between here and the host.

    ``kind``: "lost" may work when tried again; "key" is a host key that is not the expected one; "refused" is a host
    that refused the login; "proxy" is a proxy command that ended before there was a connection: it may work when tried
    again, and the message has what the command said.
    """

    def __init__(self, kind: Literal["lost", "key", "refused", "proxy"], message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint

    def for_user(self) -> BuilderError:
        """Return the failure as efsprov's error."""
        return BuilderError(self.message, hint=self.hint)


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection was lost, or not made: whether trying again makes sense."""
    return isinstance(error, ConnectionFailure) and error.kind in {"lost", "proxy"}
