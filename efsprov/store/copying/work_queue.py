"""Who does what next in a copy: hands folders, their files and pieces of files to as many workers as may work.

Linux holds a directory's lock while a name is created in it, over the whole round trip: two creations in one folder
wait for each other, however many threads ask. So a folder is in one worker's hand, its leader's, at a time; the leader
sends off a *wave* of creations in it and leaves; when the last of them has its file open, the folder may be led again.
A wave is not sent before enough workers are idle, so that all its calls start together: then the client asks for
permission to look up names in the folder (ACCESS) once, and not again for each of them.
Among the folders, that with the longest chain of creations goes first; of those whose chains are short, the one that was
handed in last, so that few wait with their descriptors open.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Protocol

from efsprov.store.copying.folder import CopyFolder, FolderBudget
from efsprov.store.copying.plan import FolderPlan, Task

_WAVE: Final = 8
_SHORT: Final = 64  # round trips: a chain that can as well be begun last
_WAVES: Final = 2  # so many folders at least share the workers
# Files of so many pieces go a few at a time, their pieces by all workers: after a kill only what is whole counts.
_HUGE: Final = 64
_HUGE_AT_ONCE: Final = 2


@dataclass(eq=False)
class Folder:
    """A folder at work: what is left to do in it. Its parts are for who has it in hand."""

    plan: FolderPlan
    handles: CopyFolder
    to_make: deque[str]
    tasks: deque[Task]
    left: float
    recovered: bool = False
    entering: int = 0

    @property
    def next_wave(self) -> int:
        """How many creations could be sent off in it next."""
        return len(self.to_make) or (len(self.tasks) if self.recovered else 1)

    @classmethod
    def of(cls, plan: FolderPlan, handles: CopyFolder) -> "Folder":
        """Start on a plan."""
        to_make = deque(below.name for below in plan.folders if not below.exists)
        return cls(plan, handles, to_make, deque(plan.tasks), plan.chain)


_Waiting = tuple[float, int, Folder]  # first comes the smallest


class Call(Protocol):
    """Something that is ready to be done by any worker: a creation of a wave, or a piece of a large file."""

    def run(self) -> None:
        """Do it."""

    def drop(self) -> None:
        """Give up what it holds, without doing it."""


class WorkQueue:
    """The work of one copy. Every method may be called from any thread."""

    def __init__(self, *, limit: int, buffers: int, buffer_size: int, budget: FolderBudget) -> None:
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self.buffer_size = buffer_size
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._parked = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._limit = limit
        self._budget = budget
        self._long: list[_Waiting] = []
        self._short: list[_Waiting] = []
        self._begun: list[_Waiting] = []
        self._open: set[Folder] = set()
        self._pushed = 0
        self._entries: deque[Call] = deque()
        self._pieces: deque[Call] = deque()
        self._spare: list[bytearray] = []
        self._unmade = buffers
        self._jobs = 0
        self._waiting = 0
        self._away = 0
        self._huge = 0

    @property
    def starved(self) -> bool:
        """Whether a good part of the workers that may work have nothing to do."""
        return self._waiting * 4 > self._limit and not (self._long or self._short or self._begun)

    @property
    def wave(self) -> int:
        """How many creations a leader sends off at once."""
        return max(1, min(_WAVE, (self._limit - self._away) // _WAVES))

    def set_limit(self, limit: int) -> None:
        """Let workers 0 to ``limit`` - 1 take work."""
        with self._lock:
            self._limit = limit
            self._parked.notify_all()
            self._work.notify_all()

    def add(self, folder: Folder) -> None:
        """Hand in a folder that exists now; it counts as one job, and each of its tasks as one."""
        with self._lock:
            self._jobs += 1 + len(folder.tasks)
            self._push(self._long if folder.left > _SHORT else self._short, folder)

    def take(self, number: int) -> Call | Folder | None:
        """Wait for work for worker ``number`` (0, 1, ...): a call to run, a folder to lead, or None: there is no more."""
        with self._lock:
            while not self.finished.is_set():
                if number >= self._limit:
                    self._parked.wait()
                elif self._entries:
                    return self._entries.popleft()
                elif self._pieces:
                    return self._pieces.popleft()
                elif (folder := self._pick()) is not None:
                    return folder
                else:
                    self._waiting += 1
                    self._work.wait()
                    self._waiting -= 1
        return None

    def _pick(self) -> Folder | None:
        """Choose a folder, if there are enough workers for its next wave."""
        heap = self._choose()
        if not heap or self._waiting + 1 < min(self.wave, heap[0][2].next_wave):
            return None
        folder = heappop(heap)[2]
        self._open.add(folder)
        return folder

    def _choose(self) -> list[_Waiting]:
        may_begin = len(self._open) < self._limit
        if may_begin and self._short and self._budget.is_low:
            return self._short
        if may_begin and self._long and (not self._begun or self._long[0] < self._begun[0]):
            return self._long
        return self._begun or (self._short if may_begin else [])

    def send(self, folder: Folder, calls: Sequence[Call]) -> None:
        """Have a wave of creations in ``folder`` run at once; each must call ``entered`` when it is through."""
        with self._lock:
            folder.entering = len(calls)
            stopped = self.finished.is_set()
            if not stopped:
                self._entries.extend(calls)
                self._work.notify(len(calls))
        if stopped:
            for call in calls:
                call.drop()

    def entered(self, folder: Folder) -> None:
        """Count a creation as through; after the last one of a wave the folder may be led again."""
        with self._lock:
            folder.entering -= 1
            if not folder.entering:
                self._back(folder)

    def back(self, folder: Folder) -> None:
        """Give a folder back that no wave was sent off in."""
        with self._lock:
            self._back(folder)

    def _back(self, folder: Folder) -> None:
        if folder.to_make or not folder.recovered or folder.tasks:
            self._push(self._begun, folder)
        else:
            self._open.discard(folder)
            folder.handles.close()
            self._work.notify()

    def _push(self, heap: list[_Waiting], folder: Folder) -> None:
        self._pushed -= 1  # of equals, the last one first
        heappush(heap, (0.0 if heap is self._short else -folder.left, self._pushed, folder))
        self._work.notify()

    def done(self, jobs: int = 1) -> None:
        """Count jobs as done; the last one ends the work."""
        with self._lock:
            self._jobs -= jobs
            last = self._jobs == 0
        if last:
            self.stop()

    def stop(self, error: BaseException | None = None) -> None:
        """Let no worker take more work; the first ``error`` is kept."""
        with self._lock:
            if self.error is None:
                self.error = error
            self.finished.set()
            dropped = [*self._entries, *self._pieces]
            self._entries.clear()
            self._pieces.clear()
            for condition in (self._work, self._parked, self._room):
                condition.notify_all()
        for call in dropped:
            call.drop()

    def close(self) -> None:
        """Close the folders that a stopped copy left open; no worker may be running."""
        for folder in (*self._open, *(folder for _, _, folder in (*self._long, *self._short))):
            folder.handles.close()

    def buffer(self) -> bytearray | None:
        """Return a buffer, working on pieces while there is none free; None when the work was stopped."""
        while True:
            with self._lock:
                if self.finished.is_set():
                    return None
                if self._spare:
                    return self._spare.pop()
                if self._unmade:
                    self._unmade -= 1
                    return bytearray(self.buffer_size)
                piece = self._piece_or_wait()
            if piece is not None:
                piece.run()

    @contextmanager
    def turn(self, size: int) -> Iterator[None]:
        """Wait until a file of ``size`` bytes may be read, working on pieces of others meanwhile."""
        if size < _HUGE * self.buffer_size:
            yield
            return
        self.help_until(self._take_turn)
        try:
            yield
        finally:
            with self._lock:
                self._huge -= 1
                self._room.notify_all()

    def _take_turn(self) -> bool:
        if self._huge >= _HUGE_AT_ONCE and not self.finished.is_set():
            return False
        self._huge += 1
        return True

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer for others to use."""
        with self._lock:
            self._spare.append(buffer)
            self._room.notify_all()

    def put_piece(self, piece: Call) -> None:
        """Let whoever is free write ``piece``; when the work was stopped, it is dropped."""
        with self._lock:
            stopped = self.finished.is_set()
            if not stopped:
                self._pieces.append(piece)
                self._work.notify()
        if stopped:
            piece.drop()

    def away(self, workers: int) -> None:
        """Count ``workers`` (or uncount, if negative) as busy for long: no wave waits for them."""
        with self._lock:
            self._away += workers
            self._work.notify()

    def notify_pieces(self) -> None:
        """Wake who waits for pieces to be done."""
        with self._lock:
            self._room.notify_all()

    def help_until(self, ready: Callable[[], bool]) -> None:
        """Work on pieces until ``ready``."""
        while True:
            with self._lock:
                if ready():
                    return
                piece = self._piece_or_wait()
            if piece is not None:
                piece.run()

    def _piece_or_wait(self) -> Call | None:
        if self._pieces:
            return self._pieces.popleft()
        self._room.wait()
        return None
