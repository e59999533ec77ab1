"""The journal on the file system: entry N is a symbolic link `journal/N` whose text is the entry.

symlink(2) creates exclusively and carries its content, so one call appends an entry whole or not at all, and two
writers cannot both append entry N: a compare-and-set that needs no lock (a lock does not fence on NFS: measured, a
client partitioned past its lease still renamed after healing). EFS allows 4,080 bytes in a link's text.
"""

import errno
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from efsprov.core.errors import ConflictError, IntegrityError
from efsprov.core.history import Action, Entry, State, fold, parse_entry
from efsprov.store.fs.errors import root_error, translate_os_errors
from efsprov.store.fs.lookup import is_directory, open_directory
from efsprov.store.layout import Channel

_ATTEMPTS = 50
_THREADS = 16  # a readlink over NFS is a round trip or two: they overlap
_TEXT_BYTES = 4000  # EFS: 4,080
_NAME = re.compile(r"[0-9]{8,}")


def read_entries(channel: Channel) -> tuple[Entry, ...]:
    """Return all entries, oldest first; raises ``IntegrityError`` for a gap or for what is not an entry.

    Also for a link in the place of any folder of the channel: who reads the journal goes on to the others.
    """
    channel.refuse_links()
    with translate_os_errors("Reading the journal", channel.journal):
        if not is_directory(channel.journal):
            return ()  # a channel that nobody made yet
        with open_directory(channel.journal) as fd:
            return _read_all(channel, fd)


def read_state(channel: Channel) -> State:
    """Return what the channel's journal adds up to."""
    return fold(read_entries(channel))


def append(channel: Channel, do: Action, release: str, *, after: int, note: str = "", tx: str = "") -> Entry:
    """Append the entry that follows number ``after``, to stable storage.

    Raises ``ConflictError`` when another writer appended that number first. A call that reports an error may have
    happened (measured: a server killed between executing and replying makes symlink report EEXIST), so the entry is
    read back and told apart by its transaction id.
    """
    writer = channel.writer
    entry, text = _fitting(
        Entry(
            number=after + 1,
            tx=tx or writer.new_tx(),
            do=do,
            release=release,
            at=writer.clock(),
            by=_plain(writer.by)[:200],
            note=_plain(note)[:500],
        )
    )
    with translate_os_errors("Writing the journal", channel.journal), open_directory(channel.journal) as fd:
        try:
            channel.ops.symlink(text, entry_name(entry.number), dir_fd=fd)
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

    ``check`` sees all entries and answers whether the entry is still needed, or raises; it is asked again whenever
    another writer appended first.
    """
    for _ in range(_ATTEMPTS):
        entries = read_entries(channel)
        state = fold(entries)
        if not check(entries):
            sync_journal(channel)
            return state, None
        try:
            return state, append(channel, do, release, after=state.last, note=note, tx=tx)
        except ConflictError:
            continue
    raise ConflictError(
        f"{channel.label} is being changed by others without pause: could not {do} {release}.",
        hint="`efsprov history` shows who. Run the command again.",
    )


def sync_journal(channel: Channel) -> None:
    """Bring entries to stable storage that were read, whoever wrote them: their writer may have died before it did."""
    with translate_os_errors("Writing the journal", channel.journal), open_directory(channel.journal) as fd:
        channel.ops.fsync(fd)


def entry_name(number: int) -> str:
    """Return the file name of entry ``number``."""
    return f"{number:08d}"


def _read_all(channel: Channel, directory: int) -> tuple[Entry, ...]:
    listed = {int(name) for name in os.listdir(directory) if _NAME.fullmatch(name)}
    for number, entry in _read_many(channel, directory, sorted(listed - channel.read.keys())):
        channel.read[number] = entry
    entries = []
    for number in range(1, max(listed | channel.read.keys(), default=0) + 1):
        if number not in channel.read:
            # A listing may miss a name that was made while it ran, and show the one made after it (readdir(3)).
            try:
                channel.read[number] = _read(channel, directory, number)
            except FileNotFoundError:
                raise IntegrityError(
                    f"Entry {number} of the journal {channel.journal} is missing.",
                    hint="Restore it from a backup of the file system. Readers keep what `current` names meanwhile.",
                ) from None
        entries.append(channel.read[number])
    return tuple(entries)


def _read_many(channel: Channel, directory: int, numbers: list[int]) -> list[tuple[int, Entry]]:
    def read(some: list[int]) -> list[tuple[int, Entry]]:
        return [(number, _read(channel, directory, number)) for number in some]

    if len(numbers) < _THREADS:
        return read(numbers)
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(chain.from_iterable(pool.map(read, [numbers[n::_THREADS] for n in range(_THREADS)])))


def _settle(channel: Channel, wanted: Entry, error: OSError) -> None:
    """After a failed symlink: return when it happened all the same, raise what kept it from happening otherwise."""
    try:
        with open_directory(channel.journal) as fd:
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
    try:
        text = os.readlink(entry_name(number), dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        text = "(not a link)"
    return parse_entry(number, text, where=str(channel.journal / entry_name(number)))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # an argument that was no UTF-8 holds lone surrogates


def _fitting(entry: Entry) -> tuple[Entry, str]:
    """Return the entry with its note cut so that its text fits into a link, and that text."""
    text = entry.model_dump_json(exclude_defaults=True)
    while len(text.encode()) > _TEXT_BYTES:
        entry = entry.model_copy(update={"note": entry.note[:-50]})
        text = entry.model_dump_json(exclude_defaults=True)
    return entry, text
