"""The durable point of a release: all of it is on stable storage, or it does not become a release.

A write that fails after write(2) has returned is told by syncfs(2): once to each descriptor that was open by then, and,
until somebody was told, to each that is opened later (Linux 5.8, errseq_t). So a publisher asks twice, through its
lock's descriptor, which is older than all of the release: before it writes, because what failed on this mount earlier,
in whatever program, is not a failure of its own; and when all is written, whoever else may have asked in between.
"""

from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.publisher_lock import PublisherLock


def settle_earlier_writes(lock: PublisherLock) -> str:
    """Bring what was written before to stable storage; return why some of it, by whatever program, is lost, else "".

    Who asked after that failure has taken the news away. Raises ``RootError`` where nothing can be brought there.
    """
    sync = lock.channel.ops.syncfs
    try:
        sync(lock.fd)
    except OSError as error:
        with translate_os_errors("Bringing earlier writes to stable storage", lock.channel.path):
            sync(lock.fd)  # an old failure is reported once
        return error.strerror or str(error)
    return ""


def make_durable(lock: PublisherLock) -> None:
    """Bring all that this publisher wrote to stable storage.

    Raises ``OSError`` where that fails, or any write to this file system from this machine failed since
    `settle_earlier_writes`.
    """
    lock.channel.ops.syncfs(lock.fd)
