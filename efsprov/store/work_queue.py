"""Who does what next in a copy: hands folders, files and pieces to as many workers as may work.

Linux holds a directory's lock while a name is created in it, over the whole round trip: two creations in one folder
wait for each other, however many threads ask. So a folder is handed to one worker at a time, which gives it back once
the file is open (``opened``) and goes on writing; and the folder whose chain of creations is longest goes first.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from efsprov.store.copy_folder import CopyFolder
from efsprov.store.copy_plan import FolderPlan, Task


@dataclass(eq=False)
class Folder:
    """A folder at work: its tasks that are left, and what whoever has it in hand keeps open in it."""

    plan: FolderPlan
    tasks: deque[Task]
    left: float
    handles: CopyFolder | None = None

    @classmethod
    def of(cls, plan: FolderPlan) -> "Folder":
        """Start on a plan."""
        return cls(plan, deque(plan.tasks), plan.weight)

    def close(self) -> None:
        """Close what is open in it."""
        if self.handles is not None:
            self.handles.close()
            self.handles = None


@dataclass(frozen=True, slots=True)
class Make:
    """Open the folder, which is there, and make those below it."""

    folder: Folder


@dataclass(frozen=True, slots=True)
class Place:
    """Bring one file into the folder."""

    folder: Folder
    task: Task


class Piece(Protocol):
    """A part of a large file that waits to be written."""

    def run(self) -> None:
        """Write it."""

    def drop(self) -> None:
        """Count it as ended without writing it."""


Job = Make | Place | Piece


class WorkQueue:
    """The jobs of one copy. Every method may be called from any thread."""

    def __init__(self, top: FolderPlan, *, limit: int, buffers: int, buffer_size: int) -> None:
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._parked = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._limit = limit
        self._new: list[tuple[float, int, Folder]] = []
        self._idle: list[tuple[float, int, Folder]] = []
        self._open: set[Folder] = set()
        self._pushed = 0
        self._pieces: deque[Piece] = deque()
        self._spare: list[bytearray] = []
        self._unmade, self.buffer_size = buffers, buffer_size
        self._jobs = 0
        self._waiting = 0
        self.add(top)

    @property
    def starved(self) -> bool:
        """Whether a good part of the workers that may work have nothing to do."""
        return self._waiting * 4 > self._limit

    def set_limit(self, limit: int) -> None:
        """Let workers 0 to ``limit`` - 1 take jobs."""
        with self._lock:
            self._limit = limit
            self._parked.notify_all()
            self._work.notify_all()

    def add(self, plan: FolderPlan) -> None:
        """Hand in a folder that exists now."""
        with self._lock:
            self._jobs += 1 + len(plan.tasks)
            self._pushed += 1
            heappush(self._new, (-plan.chain, self._pushed, Folder.of(plan)))
            self._work.notify()

    def take(self, number: int) -> Job | None:
        """Wait for a job for worker ``number`` (0, 1, ...); None when there will be no more."""
        with self._lock:
            while not self.finished.is_set():
                if number >= self._limit:
                    self._parked.wait()
                elif self._pieces:
                    return self._pieces.popleft()
                elif (job := self._pick()) is not None:
                    return job
                else:
                    self._waiting += 1
                    self._work.wait()
                    self._waiting -= 1
        return None

    def _pick(self) -> Job | None:
        newer = self._new and len(self._open) < self._limit and (not self._idle or self._new[0][0] < self._idle[0][0])
        if newer:
            folder = heappop(self._new)[2]
            self._open.add(folder)
            return Make(folder)
        if self._idle:
            folder = heappop(self._idle)[2]
            task = folder.tasks.popleft()
            folder.left -= task.weight
            return Place(folder, task)
        return None

    def opened(self, folder: Folder) -> None:
        """Give a folder back for its next file, or close it when there is none."""
        with self._lock:
            if folder.tasks:
                self._pushed += 1
                heappush(self._idle, (-folder.left, self._pushed, folder))
            else:
                self._open.discard(folder)
                folder.close()
            self._work.notify()

    def close(self) -> None:
        """Close the folders that a stopped copy left open; no worker may be running."""
        for folder in self._open:
            folder.close()

    def done(self) -> None:
        """Count a job (not a piece) as done; the last one ends the work."""
        with self._lock:
            self._jobs -= 1
            last = self._jobs == 0
        if last:
            self.stop()

    def stop(self, error: BaseException | None = None) -> None:
        """Let no worker take another job; the first ``error`` is kept."""
        with self._lock:
            if self.error is None:
                self.error = error
            self.finished.set()
            dropped, self._pieces = self._pieces, deque()
            for condition in (self._work, self._parked, self._room):
                condition.notify_all()
        for piece in dropped:
            piece.drop()

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

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer for others to use."""
        with self._lock:
            self._spare.append(buffer)
            self._room.notify_all()

    def put_piece(self, piece: Piece) -> None:
        """Let whoever is free run ``piece``; when the work was stopped, it is dropped."""
        with self._lock:
            stopped = self.finished.is_set()
            if not stopped:
                self._pieces.append(piece)
                self._work.notify()
        if stopped:
            piece.drop()

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

    def _piece_or_wait(self) -> Piece | None:
        if self._pieces:
            return self._pieces.popleft()
        self._room.wait()
        return None
