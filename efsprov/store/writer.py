"""Who writes to a root, with what clock and through which calls."""

import getpass
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from efsprov.store.fs.fileops import FileOps


def _identity() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an access point's uid need not have a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}[{os.getpid()}]"[:200]


@dataclass(frozen=True)
class Writer:
    """``by`` goes into the journal; ``clock`` returns an aware time; ``new_tx`` a transaction id never used before."""

    ops: FileOps = field(default_factory=FileOps)
    by: str = field(default_factory=_identity)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_tx: Callable[[], str] = lambda: secrets.token_hex(8)
