"""What a copy into staging has to do, as data: what stays, goes, is linked, repaired or written, and in which folder."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Literal

from efsprov.core.errors import IntegrityError
from efsprov.core.filelist import FileEntry, is_inside

Do = Literal["copy", "link", "repair"]

_BYTES_PER_ROUND_TRIP: Final = 1 << 20  # one WRITE at wsize=1048576


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in staging under a name; ``links`` is the number of names that its inode has."""

    kind: Literal["file", "folder", "other"]
    size: int = 0
    mode: int = 0
    links: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """One file that is not there yet: written whole, linked, or compared with its source piece by piece."""

    entry: FileEntry
    do: Do

    @property
    def name(self) -> str:
        """Its name in its folder."""
        return self.entry.path.rpartition("/")[2]

    @property
    def weight(self) -> float:
        """How long it takes next to others, in round trips."""
        return 1 + (0 if self.do == "link" else self.entry.size / _BYTES_PER_ROUND_TRIP)


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What happens in one folder. ``chain`` is its weight and that of the heaviest folder below: what nobody can speed up."""

    path: str
    exists: bool
    folders: tuple["FolderPlan", ...]
    tasks: tuple[Task, ...]
    weight: float
    chain: float

    @property
    def name(self) -> str:
        """Its name in the folder above."""
        return self.path.rpartition("/")[2]

    def walk(self) -> Iterator["FolderPlan"]:
        """Yield this folder and all below it, each before those in it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """``top`` is the tree's own folder, path ''. What is removed comes first: ``remove_folders`` are listed deepest first."""

    top: FolderPlan
    kept: tuple[FileEntry, ...]
    remove_files: tuple[str, ...]
    remove_folders: tuple[str, ...]


def plan_copy(
    files: Sequence[FileEntry],
    *,
    found: Mapping[str, Found],
    trusted: AbstractSet[FileEntry],
    linkable: Container[str],
) -> CopyPlan:
    """Decide how staging, which holds ``found``, comes to hold ``files`` and nothing else.

    ``trusted`` are files known to be whole where their size and mode are right. ``linkable`` are paths of which a
    release has the same file. Raises ``IntegrityError`` for paths that no tree can hold.
    """
    wanted_folders = _check_paths(files)
    kept: list[FileEntry] = []
    tasks: defaultdict[str, list[Task]] = defaultdict(list)
    stays = set()
    for entry in files:
        there = found.get(entry.path)
        if there is not None and entry in trusted and _has_form(there, entry) and there.size == entry.size:
            kept.append(entry)
            stays.add(entry.path)
            continue
        do: Do = "link" if entry.path in linkable else "copy"
        # A file of several names may be some release's: it is never written to. One that can be linked need not be read.
        if do == "copy" and there is not None and _has_form(there, entry) and there.links == 1:
            do = "repair"
            stays.add(entry.path)
        tasks[entry.path.rpartition("/")[0]].append(Task(entry, do))
    return CopyPlan(
        top=_tree(wanted_folders, tasks, found),
        kept=tuple(kept),
        remove_files=tuple(p for p, f in sorted(found.items()) if f.kind != "folder" and p not in stays),
        remove_folders=tuple(
            sorted(
                (p for p, f in found.items() if f.kind == "folder" and p not in wanted_folders),
                key=lambda p: (-p.count("/"), p),
            )
        ),
    )


def pieces(size: int, length: int) -> Iterator[tuple[int, int]]:
    """Cut ``size`` bytes into (offset, length) pieces of at most ``length``, in order."""
    for offset in range(0, size, length):
        yield offset, min(length, size - offset)


def _has_form(there: Found, entry: FileEntry) -> bool:
    return there.kind == "file" and there.mode == entry.mode


def _check_paths(files: Sequence[FileEntry]) -> set[str]:
    names = {entry.path for entry in files}
    folders = {""}
    for path in names:
        parent = path.rpartition("/")[0]
        while parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    wrong = [entry.path for entry in files if not is_inside(entry.path)] + sorted(names & folders)
    if wrong or len(names) != len(files):
        what = repr(wrong[0]) if wrong else "a name that stands twice"
        raise IntegrityError(f"The list of files to copy holds {what}.", hint="Run the command again from the start.")
    return folders


def _tree(folders: set[str], tasks: Mapping[str, list[Task]], found: Mapping[str, Found]) -> FolderPlan:
    below: defaultdict[str, list[FolderPlan]] = defaultdict(list)
    plan = FolderPlan("", True, (), (), 0, 0)
    for path in sorted(folders, key=lambda p: (p.count("/") + bool(p), p), reverse=True):
        own = sorted(tasks.get(path, ()), key=lambda task: -task.entry.size)
        inner = sorted(below.pop(path, ()), key=lambda folder: -folder.chain)
        there = found.get(path)
        exists = not path or (there is not None and there.kind == "folder")
        weight = len(inner) + sum(task.weight for task in own)
        chain = weight + max((folder.chain for folder in inner), default=0)
        plan = FolderPlan(path, exists, tuple(inner), tuple(own), weight, chain)
        if path:
            below[path.rpartition("/")[0]].append(plan)
    return plan
