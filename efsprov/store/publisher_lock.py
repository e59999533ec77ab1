"""The publisher lock: keeps two honest publishers of one channel apart.

It is advisory and does not fence: a publisher that was cut off past its lease has lost it without knowing (measured).
What protects the channel from such a writer is the journal; ``assert_held`` only makes it notice early.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from efsprov.core.errors import BusyError, ConflictError, RootError
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.fs.lookup import lstat
from efsprov.store.layout import Channel, Made

LOCK_FILE = "publisher.lock"
_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.1, 2.0
_PROBES_WITHOUT_WAITING = 3  # whoever only asks whether the lock is held takes it for an instant, see `is_locked`
_VANISHED_IN_A_ROW = 20
_VANISHED = {errno.ENOENT, errno.ESTALE}
_LOST = {errno.EIO, errno.ESTALE, errno.ENOENT, errno.EBADF, errno.ENOLCK}
_HOLDER_BYTES = 512


@dataclass(frozen=True)
class PublisherLock:
    """A lock that is held, since ``since``."""

    channel: Channel
    fd: int
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def assert_held(self) -> None:
        """Raise ``ConflictError`` when the server gave the lock to somebody else meanwhile."""
        with translate_os_errors("Confirming the publisher lock", self.channel.path / LOCK_FILE):
            if not self.is_held():
                raise _lost(self.channel)

    def is_held(self) -> bool:
        """Ask the server. A write under a lock that was lost fails with EIO (measured); a file made again is another.

        Raises ``OSError`` where something else keeps the file from being written.
        """
        try:
            _write_holder(self)
            return _is_same_file(self.channel, self.fd)
        except OSError as error:
            if error.errno not in _LOST:
                raise
            return False

    def server_time(self) -> datetime:
        """Return the time by the clock of the file system's server, which stamps what is written."""
        with translate_os_errors("Asking the server's clock", self.channel.path / LOCK_FILE):
            _write_holder(self)
            return datetime.fromtimestamp(os.fstat(self.fd).st_mtime, UTC)


@contextmanager
def publisher_lock(
    channel: Channel, *, wait: bool, on_wait: Callable[[str], None] | None = None
) -> Iterator[PublisherLock]:
    """Hold the channel's publisher lock for the block, making the channel's folders where they are missing.

    When the block fails, what was made and is still empty is taken away again; and when the lock was lost meanwhile,
    a ``RootError`` of the block becomes the ``ConflictError`` that explains it.

    While another publisher holds it: calls ``on_wait`` once with that holder's name and waits, or raises
    ``BusyError`` where ``wait`` is false.
    """
    lock, made = _acquire(channel, wait=wait, on_wait=on_wait)
    try:
        yield lock
    except BaseException as error:
        held = _release(lock, made)
        if not held and isinstance(error, RootError):
            raise _lost(channel) from error
        raise
    _release(lock, Made())


def is_locked(channel: Channel) -> bool:
    """Tell whether a publisher is at work in the channel, by asking for a share of its lock for an instant."""
    try:
        fd = os.open(channel.path / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a mount without locks has no publishers either: they could not start
    finally:
        os.close(fd)
    return False


def _acquire(channel: Channel, *, wait: bool, on_wait: Callable[[str], None] | None) -> tuple[PublisherLock, Made]:
    made, looks, vanished, pause, holder = Made(), 0, 0, _POLL_SECONDS, ""
    try:
        with translate_os_errors("Locking the channel", channel.path):
            while True:
                lock, found = _try(channel, made)
                if lock is not None:
                    return lock, made
                if found and not holder and on_wait and wait:
                    on_wait(found)
                holder = found or holder
                looks, vanished = looks + 1, 0 if found else vanished + 1
                _refuse_endless(channel, holder, looks=0 if wait else looks, vanished=vanished)
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
    except BaseException:
        if not holder:  # else somebody publishes here: the folders are theirs too
            made.take_away()
        raise


def _refuse_endless(channel: Channel, holder: str, *, looks: int, vanished: int) -> None:
    if looks >= _PROBES_WITHOUT_WAITING:
        raise BusyError(
            f"{channel.label} is being published by {holder or 'another publisher'}.",
            hint="Run the command again without --no-wait to wait for it.",
        )
    if vanished > _VANISHED_IN_A_ROW:
        raise RootError(
            f"The publisher lock {channel.path / LOCK_FILE} disappears whenever it is made.",
            hint="Look at the mount, and whether something else removes files there.",
        )


def _try(channel: Channel, made: Made) -> tuple[PublisherLock | None, str]:
    """Try once: return the lock, or None and who holds it ("" when nobody does any more: try again)."""
    try:
        channel.make_folders(made)  # each time: who held the lock may have taken them away
        fd = _open(channel)
    except FileNotFoundError:
        if lstat(channel.root.path.parent) is None:
            raise
        return None, ""
    lock = PublisherLock(channel, fd, channel.writer.clock())
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_same_file(channel, fd):  # its last holder removed it between our open and our lock
            os.close(fd)
            return None, ""
    except BlockingIOError:
        holder = _holder(fd)
        os.close(fd)
        return None, holder
    except OSError as error:
        os.close(fd)
        if error.errno in _VANISHED:
            return None, ""
        raise
    try:
        channel.make_folders(made)  # under the lock nobody takes them away
        _write_holder(lock)
    except BaseException:
        _release(lock, made)
        raise
    return lock, ""


def _open(channel: Channel) -> int:
    path, flags = (
        channel.path / LOCK_FILE,
        os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW,
    )  # LOCK_EX on NFS: for writing (measured)
    try:
        return channel.ops.open(str(path), flags)
    except OSError:
        if lstat(path) is None:
            raise
    return channel.ops.open(str(path), flags)  # it was made, and the reply was lost


def _release(lock: PublisherLock, made: Made) -> bool:
    """Give the lock up and take away what was made; tell whether it was still held.

    The file goes while the lock is held: whoever opened it before sees, once it has the lock, that the name is gone.
    A publisher that lost its lock must not remove it: it is the next one's by now.
    """
    try:
        held = _held_as_far_as_known(lock)
        if held:
            made.take_away(below=lock.channel.path)
            with suppress(OSError):  # the file itself is harmless; the lock goes with the descriptor
                lock.channel.ops.unlink(str(lock.channel.path / LOCK_FILE))
    finally:
        os.close(lock.fd)
    if held:
        made.take_away()
    return held


def _held_as_far_as_known(lock: PublisherLock) -> bool:
    try:
        return lock.is_held()
    except OSError:
        return True


def _is_same_file(channel: Channel, fd: int) -> bool:
    found = lstat(channel.path / LOCK_FILE)
    return found is not None and os.path.samestat(found, os.fstat(fd))


def _write_holder(lock: PublisherLock) -> None:
    writer = lock.channel.writer
    text = json.dumps({"by": writer.by, "since": lock.since.isoformat(timespec="seconds")})
    lock.channel.ops.pwrite(lock.fd, text.encode()[:_HOLDER_BYTES].ljust(_HOLDER_BYTES), 0)
    lock.channel.ops.fsync(lock.fd)


def _holder(fd: int) -> str:
    try:
        result = json.loads(os.pread(fd, _HOLDER_BYTES, 0))
        return f"{result['by']} since {result['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another publisher"


def _lost(channel: Channel) -> ConflictError:
    return ConflictError(
        f"The publisher lock of {channel.label} was lost: this machine was cut off from the file system.",
        hint="Another publisher may have gone on meanwhile: `efsprov history` shows it. Then run sync again.",
    )
