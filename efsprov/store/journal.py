"""The journal on the file system: entry N is a symbolic link `journal/N` whose text is the entry.

symlink(2) creates exclusively and carries its content, so one call appends an entry whole or not at all, and two
writers cannot both append entry N: a compare-and-set that needs no lock (a lock does not fence on NFS: measured, a
client partitioned past its lease still renamed after healing). EFS allows 4,080 bytes in a link's text.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from efsprov.core.errors import ConflictError, IntegrityError
from efsprov.core.history import Action, Entry, State, fold, parse_entry
from efsprov.store.layout import Channel
from efsprov.store.oserrors import reported, root_error

_ATTEMPTS = 50


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Open a directory to read names in it.

    Opening makes an NFS client ask the server whether its cached names still hold (close-to-open, RFC 8881 section
    10.3.1); a look-up by path may be answered from a cache that is up to a minute old.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def read_entries(channel: Channel) -> tuple[Entry, ...]:
    """Return all entries, oldest first; raises ``IntegrityError`` for a gap or for what is no entry."""
    try:
        with reported("Reading the journal", channel.journal), open_directory(channel.journal) as fd:
            numbers = sorted(int(name) for name in os.listdir(fd) if name.isdigit())
            if numbers != list(range(1, len(numbers) + 1)):
                missing = min(set(range(1, len(numbers) + 1)) - set(numbers))
                raise IntegrityError(
                    f"Entry {missing} of the journal {channel.journal} is missing.",
                    hint="Restore it from a backup of the file system. Readers keep what `current` names meanwhile.",
                )
            return tuple(_read(channel, fd, number) for number in numbers)
    except FileNotFoundError:
        return ()


def read_state(channel: Channel) -> State:
    """Return what the channel's journal adds up to."""
    return fold(read_entries(channel))


def append(channel: Channel, do: Action, release: str, *, after: int, note: str = "", tx: str = "") -> Entry:
    """Append the entry that follows number ``after``, to stable storage.

    Raises ``ConflictError`` when another writer appended that number first. A call that reports an error may have
    happened (measured: a server killed between executing and replying makes symlink report EEXIST), so the entry is
    read back and told apart by its transaction id.
    """
    writer, number = channel.writer, after + 1
    entry = Entry(
        number=number,
        tx=tx or writer.new_tx(),
        do=do,
        release=release,
        at=writer.clock(),
        by=writer.by,
        note=note[:500],
    )
    with reported("Writing the journal", channel.journal), open_directory(channel.journal) as fd:
        try:
            channel.ops.symlink(entry.model_dump_json(exclude_defaults=True), entry_name(number), dir_fd=fd)
        except OSError as error:
            _settle(channel, entry, error)
        channel.ops.fsync(fd)
    return entry


def append_when(
    channel: Channel,
    do: Action,
    release: str,
    check: Callable[[tuple[Entry, ...]], bool],
    *,
    note: str = "",
    tx: str = "",
) -> tuple[State, Entry | None]:
    """Append an entry to whatever the journal holds, as long as ``check`` agrees; return the state before, and it.

    ``check`` sees all entries and answers whether the entry is still needed, or raises; it is asked anew whenever
    another writer appended first.
    """
    for _ in range(_ATTEMPTS):
        entries = read_entries(channel)
        state = fold(entries)
        if not check(entries):
            return state, None
        try:
            return state, append(channel, do, release, after=state.last, note=note, tx=tx)
        except ConflictError:
            continue
    raise ConflictError(
        f"{channel.label} is being changed by others without pause: could not {do} {release}.",
        hint="`efsprov history` shows who. Run the command again.",
    )


def entry_name(number: int) -> str:
    """Return the file name of entry ``number``."""
    return f"{number:08d}"


def _settle(channel: Channel, wanted: Entry, error: OSError) -> None:
    """After a failed symlink: return when it happened all the same, raise what kept it from happening otherwise."""
    with open_directory(channel.journal) as fd:
        try:
            found = _read(channel, fd, wanted.number)
        except FileNotFoundError:
            raise root_error(error, "Writing the journal", channel.journal) from error
    if found.tx != wanted.tx:
        raise ConflictError(
            f"While {wanted.by} was about to {wanted.do} {wanted.release} in {channel.label}, "
            f"{found.by} wrote: {found.do} {found.release}.",
            hint="Nothing was overwritten. `efsprov history` shows what happened; run the command again if it still applies.",
        ) from error


def _read(channel: Channel, directory: int, number: int) -> Entry:
    where = str(channel.journal / entry_name(number))
    try:
        text = os.readlink(entry_name(number), dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno != 22:  # EINVAL: it is no link
            raise
        text = "(not a link)"
    return parse_entry(number, text, where=where)
