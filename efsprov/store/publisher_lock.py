"""The publisher lock: keeps two honest publishers of one channel apart.

It is advisory and does not fence: a publisher that was cut off past its lease has lost it without knowing (measured).
What protects the channel from such a writer is the journal; ``assert_held`` only makes it notice early.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from efsprov.core.errors import BusyError, ConflictError
from efsprov.store.layout import Channel, Made
from efsprov.store.oserrors import reported

_FILE = "publisher.lock"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class PublisherLock:
    """A lock that is held."""

    channel: Channel
    fd: int

    def assert_held(self) -> None:
        """Raise ``ConflictError`` when the server gave the lock to somebody else meanwhile.

        On NFSv4 a write under a lock that was lost fails with EIO (measured), a file that was replaced has another
        inode.
        """
        try:
            _write_holder(self.channel, self.fd)
            held = _is_same_file(self.channel, self.fd)
        except OSError:
            held = False
        if not held:
            raise ConflictError(
                f"The publisher lock of {self.channel.label} was lost: this machine was cut off from the file system.",
                hint="Another publisher may have gone on meanwhile: `efsprov history` shows it. Then run sync again.",
            )


@contextmanager
def publisher_lock(
    channel: Channel, *, wait: bool, on_wait: Callable[[str], None] | None = None
) -> Iterator[PublisherLock]:
    """Hold the channel's publisher lock for the block, making the channel's folders where they are missing.

    When the block fails, what was made and is still empty is taken away again.

    While another publisher holds it: calls ``on_wait`` once with that holder's name and waits, or raises
    ``BusyError`` where ``wait`` is false.
    """
    with reported("Locking the channel", channel.path):
        fd, made = _acquire(channel, wait=wait, on_wait=on_wait)
    try:
        yield PublisherLock(channel, fd)
    except BaseException:
        _release(channel, fd)
        made.take_away()
        raise
    _release(channel, fd)


def _acquire(channel: Channel, *, wait: bool, on_wait: Callable[[str], None] | None) -> tuple[int, Made]:
    path, told, made = str(channel.path / _FILE), False, Made()
    while True:
        made.undo.extend(channel.make_folders().undo)  # each time: who held the lock may have taken them away
        try:
            fd = channel.ops.open(path, os.O_RDWR | os.O_CREAT)  # flock(LOCK_EX) needs it writable on NFS (measured)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(fd)
            os.close(fd)
            if not wait:
                raise BusyError(
                    f"{channel.label} is being published by {holder}.",
                    hint="Run the command again without --no-wait to wait for it.",
                ) from None
            if on_wait and not told:
                on_wait(holder)
                told = True
            time.sleep(_POLL_SECONDS)
            continue
        except BaseException:
            os.close(fd)
            raise
        if _is_same_file(channel, fd):  # else its last holder removed it between our open and our lock
            _write_holder(channel, fd)
            return fd, made
        os.close(fd)


def _release(channel: Channel, fd: int) -> None:
    # Unlinked while still held: whoever opened it before sees, once it has the lock, that the name is gone.
    try:
        if _is_same_file(channel, fd):
            channel.ops.unlink(str(channel.path / _FILE))
    except OSError:
        pass  # the file itself is harmless; the lock goes with the descriptor
    finally:
        os.close(fd)


def _is_same_file(channel: Channel, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(channel.path / _FILE), os.fstat(fd))
    except FileNotFoundError:
        return False


def _write_holder(channel: Channel, fd: int) -> None:
    text = json.dumps({"by": channel.writer.by, "since": channel.writer.clock().isoformat(timespec="seconds")})
    channel.ops.pwrite(fd, text.encode().ljust(512), 0)
    channel.ops.fsync(fd)


def _holder(fd: int) -> str:
    try:
        told = json.loads(os.pread(fd, 512, 0))
        return f"{told['by']} since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another publisher"
