"""Which bytes to read ahead of an import, in which order and in how many pieces: pure decisions, no input or output.

Loaded by `index.py` in the target's interpreter (3.9 or newer), so it imports nothing of efsprov.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    Run = tuple[int, int]
    InPack = tuple[int, int, int]

PIECE = 1 << 20  # what one NFS READ brings where the file system is mounted as AWS says (rsize=1048576)
# Gaps between touched pages that are read along, in bytes of what was touched: each one saves a request.
WASTE = 0.04


def close_gaps(files: "Mapping[str, Sequence[Run]]", waste: float = WASTE) -> "dict[str, list[Run]]":
    """FILES, {name: its (offset, length) runs in order}, with the smallest gaps filled until WASTE of all bytes is spent."""
    touched = sum(length for runs in files.values() for _, length in runs)
    gaps = sorted(
        (later[0] - sum(earlier), name, later[0])
        for name, runs in files.items()
        for earlier, later in zip(runs, runs[1:])  # noqa: B905, RUF007 - Python 3.9
    )
    budget = touched * waste
    filled = set()
    for size, name, end in gaps:
        budget -= size
        if budget < 0 or size >= PIECE:  # a gap of a whole piece saves nothing
            break
        filled.add((name, end))
    closed: "dict[str, list[Run]]" = {}
    for name, runs in files.items():
        merged: "list[Run]" = []
        for offset, length in runs:
            if (name, offset) in filled:
                start = merged[-1][0]
                merged[-1] = (start, offset + length - start)
            else:
                merged.append((offset, length))
        closed[name] = merged
    return closed


def pieces(offset: int, length: int) -> "Iterable[Run]":
    """The run in pieces of at most PIECE bytes."""
    for start in range(offset, offset + length, PIECE):
        yield start, min(PIECE, offset + length - start)


class Plan:
    """Steps in the order of use.

    Files are numbered: first come PACKS packs, then ``files``, names relative to the site; ``steps`` are (file number,
    offset, length); ``positions`` says for each module's file which steps it needs; ``spans`` how far the steps go
    that follow from importing the first module of what the user named.
    """

    def __init__(self, packs: int) -> None:
        self._packs = packs
        self.files: "list[str]" = []
        self.steps: "list[tuple[int, int, int]]" = []
        self.positions: "dict[str, tuple[int, ...]]" = {}
        self.spans: "dict[str, int]" = {}
        self._of_piece: "dict[Run, int]" = {}

    def read_pack(self, pack: int, offset: int, length: int) -> "list[int]":
        """Numbers of the steps that bring a run of PACK; those that are not there yet are added."""
        needed = []
        for piece in range(offset // PIECE, (offset + length - 1) // PIECE + 1):
            if (pack, piece) not in self._of_piece:
                self._of_piece[pack, piece] = len(self.steps)
                self.steps.append((pack, piece * PIECE, PIECE))
            needed.append(self._of_piece[pack, piece])
        return needed

    def read_library(self, name: str, runs: "Iterable[Run]") -> "list[int]":
        """Numbers of the steps, added, that bring RUNS of library NAME."""
        first = len(self.steps)
        self.steps += [(self._number(name), *piece) for run in runs for piece in pieces(*run)]
        return list(range(first, len(self.steps)))

    def end_pack_at(self, pack: int, end: int) -> None:
        """Cut the last piece of PACK where what the import uses of it ends."""
        piece, rest = divmod(end, PIECE)
        if rest:
            self.steps[self._of_piece[pack, piece]] = (pack, piece * PIECE, rest)

    def _number(self, name: str) -> int:
        if name not in self.files:
            self.files.append(name)
        return self._packs + self.files.index(name)


def make_plan(
    order: "Sequence[str]",
    starts: "Sequence[int]",
    libraries: "Mapping[str, Sequence[Run]]",
    *,
    packs: int,
    packed: "Mapping[str, InPack]",
    modules: "Container[str]",
) -> Plan:
    """The plan for importing what was recorded.

    ORDER has sources and libraries in the order of first use, STARTS where in it each import began, LIBRARIES the
    touched runs. PACKED says in which of PACKS packs, and where in it, lies what each source needs, MODULES which of ORDER were imported (the
    others are libraries that those need).
    """
    plan = Plan(packs)
    runs = close_gaps(libraries)
    pending: "list[int]" = []
    ends = [0]
    for name in order:
        needed = plan.read_pack(*packed[name]) if name in packed else plan.read_library(name, runs.get(name, ()))
        if name in modules:
            plan.positions[name] = (*pending, *needed)
            pending = []
        else:
            pending += needed  # whatever is imported next needs it
        ends.append(len(plan.steps))
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(order)
        first = next((name for name in order[start:end] if name in modules), None)
        if first:
            plan.spans[first] = ends[end]
    hot_ends: "dict[int, int]" = {}
    for pack, offset, length in packed.values():
        hot_ends[pack] = max(hot_ends.get(pack, 0), offset + length)
    for pack, end in hot_ends.items():
        plan.end_pack_at(pack, end)
    return plan
