"""The durable point of a release: all that its publisher wrote is on stable storage, or it does not become a release.

A write that fails after write(2) has returned is told by syncfs(2): once to each descriptor that was open by then, and,
while nobody has been told, to one that is opened later (Linux 5.8, errseq_t). So a publisher asks twice, through its
lock's descriptor, which is older than all that it writes: before it writes, because what failed on this mount earlier,
in whatever program, is no failure of its own; and when all is written, whoever else may have asked in between.
"""

from efsprov.store.publisher_lock import PublisherLock


def settle_earlier_writes(lock: PublisherLock) -> bool:
    """Bring what was written before to stable storage; tell whether that went well, or some of it, by anybody, is lost."""
    try:
        lock.channel.ops.syncfs(lock.fd)
    except OSError:
        return False
    return True


def make_durable(lock: PublisherLock) -> None:
    """Bring all that this publisher wrote to stable storage.

    Raises ``OSError`` where that fails, or any write to this file system from this machine failed since
    `settle_earlier_writes`.
    """
    lock.channel.ops.syncfs(lock.fd)
