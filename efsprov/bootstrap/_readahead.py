"""Brings what an import will use into the page cache before it is used, in few large reads.

The plan was recorded by the builder: pieces of files in the order of use. A few threads carry it out ahead of the importing thread; they share one small buffer that nobody looks at, and end
when there is nothing left to do within the horizon. What the importing thread is about to use itself is not waited
for: it is asked of the kernel, which answers at once and reads in the background.

A thread reads many megabytes in one system call, without the interpreter's lock. It has to: the lock is held for the
whole of a `dlopen`, which may relocate hundreds of megabytes, and nothing could be asked for in the meantime.

The importing thread never waits for a lock. A signal handler, a finalizer or a weak reference's callback runs in the middle
of anything that it does, and may import as well: waiting for what the interrupted code holds would never end.
"""

import _thread
import atexit
import os

from efsprov.bootstrap._index import Index, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

THREADS = 4
GROUP, PIECES = 8 << 20, 32  # bytes and steps that a thread takes at a time, at most
SCRATCH = 1 << 16  # the buffer, which one call fills again and again
END_SECONDS = 1.0  # that a fork and the end of the interpreter wait for threads at most
AHEAD = 16  # steps (of at most 1 MiB) that are taken ahead of an import that the builder did not record as a whole

_OPEN, _BEGUN, _DONE = range(3)


class ReadAhead:
    """The plan of one release and how far it has been carried out.

    INDEX's files are numbered: first its ``packs``, then ``files``, names relative to the site; ``steps`` are (number of a file,
    offset, length); ``positions`` tell the steps that each module's file needs; ``spans`` up to which step
    everything follows from importing one of the modules that the release was made for.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._site = index.site + "/"
        self._files = index.files
        self._steps = index.steps
        self._positions = index.positions
        self._spans = index.spans
        self._states = bytearray(len(self._steps))
        self._opened: "dict[int, int]" = {}
        self._used: "set[int]" = set()
        self._horizon = 0
        self._next = 0
        self._limited: "Optional[bool]" = None
        self._scratch = memoryview(bytearray(SCRATCH))
        self._ended = False
        self._forget_threads()
        if self._steps:
            os.register_at_fork(before=self._let_threads_end, after_in_child=self._forget_threads)
            atexit.register(self._end)

    def about_to_use(self, path: str, *, library: bool) -> None:
        """Called by the importing thread for each file of the release that it is going to load."""
        name = path[len(self._site) :]
        needed = self._positions.get(name)
        if needed is None:
            return
        if library and not self._running:
            self._close_used()
        for number in needed:
            if self._states[number] != _DONE:  # if a thread has begun it, it may be waiting for the interpreter's lock
                self._ask(number)
            if library:
                self._used.add(self._steps[number][0])
        near = min(needed[-1] + 1 + AHEAD, len(self._steps)) if needed else 0
        horizon = max(self._spans.get(name, 0), near)
        if horizon > self._horizon:
            self._horizon = horizon
            self._start()

    def _ask(self, number: int) -> None:
        """Have the kernel read step NUMBER, without waiting for it."""
        file, offset, length = self._steps[number]
        self._states[number] = _DONE
        opened = self._open(file, wait=False)
        if opened is not None:
            try:  # noqa: SIM105 - contextlib would be one more import
                os.posix_fadvise(opened, offset, length, os.POSIX_FADV_WILLNEED)
            except OSError:  # whoever needs it will say so
                pass

    def _open(self, file: int, *, wait: bool) -> "Optional[int]":
        """A descriptor of FILE, kept until the library has been loaded: closing it first would be one more request.

        None where it cannot be opened, or somebody else is at it who is not to be waited for.
        """
        lock = self._opening.setdefault(file, _thread.allocate_lock())  # two opens would be two requests
        if not lock.acquire(wait):
            return None
        try:
            if file < self._index.packs:
                return self._index.open(file)
            opened = self._opened.get(file)
            if opened is None:
                opened = open_file(self._site + self._files[file - self._index.packs])
                self._opened[file] = opened
            return opened  # noqa: TRY300
        except OSError:  # whoever needs it will say so
            return None
        finally:
            lock.release()

    def _close_used(self) -> None:
        while self._used:
            opened = self._opened.pop(self._used.pop(), None)  # packs stay open
            if opened is not None:
                os.close(opened)

    def _start(self) -> None:
        """Start threads, as many as may run, if there is something to do."""
        while True:
            choosing = self._choosing
            if not choosing.acquire(False):
                return  # a thread chooses, and looks for more when it has chosen; or this very thread was interrupted there
            try:
                if self._next >= self._horizon or self._running >= self._allowed():
                    return
                if not self._running and not self._busy.acquire(False):
                    return
                self._running += 1
                try:
                    _thread.start_new_thread(self._work, ())
                except RuntimeError:  # no more threads allowed here: the import goes on without
                    self._leave()
                    return
            finally:
                choosing.release()

    def _allowed(self) -> int:
        """How many threads may run: none where memory is limited, which their stacks would take, and at the end."""
        if self._ended:
            return 0
        if self._limited is None:
            self._limited = _address_space_is_limited()
        return 0 if self._limited else THREADS

    def _leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._busy.release()

    def _work(self) -> None:
        while True:
            group = self._choose()
            if not group:
                if self._next < self._horizon:  # since it was looked at, and whoever wanted more did not wait
                    self._start()
                return
            try:
                self._read(list(group))
            except OSError:  # whoever needs it will say so
                continue
            for number in group:
                self._states[number] = _DONE

    def _choose(self) -> "list[int]":
        """The next steps, all of one file; when there are none, the thread has left."""
        group: "list[int]" = []
        size = 0
        with self._choosing:
            while self._next < self._horizon and size < GROUP and len(group) < PIECES:
                number = self._next
                file, _, length = self._steps[number]
                if group and file != self._steps[group[0]][0]:
                    break
                self._next += 1
                if self._states[number] == _OPEN:
                    self._states[number] = _BEGUN
                    group.append(number)
                    size += length
            if not group:
                self._leave()
        return group

    def _read(self, group: "list[int]") -> None:
        """Read the steps of GROUP: all but the last ones in the background, those, if they are one run, at once."""
        file, start, left = self._steps[group.pop()]
        opened = self._open(file, wait=True)
        if opened is None:
            return
        while group and sum(self._steps[group[-1]][1:]) == start:
            _, start, length = self._steps[group.pop()]
            left += length
        for number in group:
            _, offset, length = self._steps[number]
            os.posix_fadvise(opened, offset, length, os.POSIX_FADV_WILLNEED)
        # Waiting for the last run keeps what is under way within bounds.
        while left > 0:
            whole, rest = divmod(left, SCRATCH)
            done = os.preadv(opened, [self._scratch] * whole + [self._scratch[:rest]] * bool(rest), start)
            if not done:
                return
            start += done
            left -= done

    def _end(self) -> None:
        """Before the interpreter ends: a thread that has only just been started would use what is freed by then, and crash.

        CPython 3.9 and 3.10 did so in 1 to 2 of 100 short programs on a busy machine. A handler that runs later may still
        import: without threads.
        """
        self._ended = True
        self._horizon = 0
        self._busy.acquire(True, END_SECONDS)  # for good: nobody starts another

    def _let_threads_end(self) -> None:
        """Before a fork: a child of a process with threads is warned about (Python 3.12), and rightly."""
        if self._ended:
            return
        self._horizon = 0
        busy = self._busy
        # Bounded: a read may hang with its server, and this very thread may have been interrupted while it chose.
        if busy.acquire(True, END_SECONDS):
            busy.release()

    def _forget_threads(self) -> None:
        """Also in a forked child, which has none of them and may have inherited a lock that one held."""
        self._running = 0
        self._choosing = _thread.allocate_lock()
        self._opening: "dict[int, _thread.LockType]" = {}
        self._busy = _thread.allocate_lock()


def _address_space_is_limited() -> bool:
    """Whether this process may have only so much memory (setrlimit(2), RLIMIT_AS), as far as the kernel tells."""
    try:
        opened = os.open("/proc/self/limits", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(opened, 4096)
        finally:
            os.close(opened)
    except OSError:
        return False
    found = text.partition(b"Max address space")[2].split(None, 1)
    return bool(found) and found[0] != b"unlimited"
