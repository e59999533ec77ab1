"""Holds what libraries themselves need against the target: a wheel's tags can be wrong."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.core.errors import GateError
from efsprov.core.runtime_libraries import LibraryNeeds, missing_libraries, shown
from efsprov.core.target import LAMBDA_RUNTIMES, Target
from efsprov.core.wheels import tags
from efsprov.core.wording import join
from efsprov.pipeline.stage.elf import DamagedError, ElfNeeds, read_elf
from efsprov.pipeline.stage.inspect_wheel import Wheel

_AT_MOST: Final = 3


@dataclass(frozen=True)
class CheckedLibraries:
    """``remarks`` name libraries that cannot be loaded but need not be, and what the runtime may lack. ``needs`` are by
    the name of the wheel's distribution.
    """

    remarks: tuple[str, ...]
    needs: Mapping[str, LibraryNeeds]


def check_libraries(site: Path, libraries: Mapping[str, Wheel], target: Target) -> CheckedLibraries:
    """Read every library of ``site`` and hold what it needs against the target and against what the others bring.

    Raises ``GateError`` naming file, wheel and symbol version where a library for the target's machine needs a newer
    glibc than the target has, or where a wheel has libraries for other machines only.
    """
    needs: dict[str, ElfNeeds] = {}
    remarks = []
    for path in libraries:
        try:
            read = read_elf(site / path)
        except DamagedError as error:
            remarks.append(f"{path} of {libraries[path].filename} is not a library that can be loaded: {error}.")
            continue
        if read is not None:
            needs[path] = read
    _check_glibc(needs, libraries, target)
    remarks += _check_machines(needs, libraries, target)
    by_wheel = _by_wheel(needs, libraries, target)
    lacking = missing_libraries(by_wheel.values(), target)
    return CheckedLibraries((*remarks, *shown(lacking)), by_wheel)


def _by_wheel(needs: Mapping[str, ElfNeeds], libraries: Mapping[str, Wheel], target: Target) -> dict[str, LibraryNeeds]:
    """Gather what each wheel's libraries for the target's machine bring and need."""
    brings: defaultdict[str, set[str]] = defaultdict(set)
    needed: defaultdict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for path, read in needs.items():
        if read.machine == target.machine:
            name = libraries[path].name
            brings[name] |= {path.rpartition("/")[2], read.soname} - {""}
            if read.needed:
                needed[name][path] = read.needed
    files = {wheel.name: wheel.filename for wheel in libraries.values()}
    return {name: LibraryNeeds(file, frozenset(brings[name]), needed[name]) for name, file in files.items()}


def _check_glibc(needs: Mapping[str, ElfNeeds], libraries: Mapping[str, Wheel], target: Target) -> None:
    too_new = [p for p, n in needs.items() if n.machine == target.machine and n.glibc and n.glibc > target.glibc]
    if not too_new:
        return
    worst = max(too_new, key=lambda path: (needs[path].glibc or (0, 0), path))
    need, others = needs[worst], len(too_new) - 1
    wanted = need.glibc or (0, 0)
    more = f" (and {others} more of its kind)" if others else ""
    would_do = [r.name for r in LAMBDA_RUNTIMES if r.glibc >= wanted]
    hint = f"glibc {wanted[0]}.{wanted[1]} is on {join(would_do)}." if would_do else "No Lambda runtime has that."
    raise GateError(
        f"{worst} in {libraries[worst].filename} needs {need.symbol_version} of {need.library}{more}, "
        f"and {target} has glibc {target.glibc[0]}.{target.glibc[1]}: the wheel's tag is wrong.",
        hint=f"{hint} Or choose another version. Nothing was published.",
    )


def _check_machines(needs: Mapping[str, ElfNeeds], libraries: Mapping[str, Wheel], target: Target) -> tuple[str, ...]:
    """A wheel for any platform may bring libraries for several machines. One for this machine must have some for it."""
    by_wheel: dict[str, list[str]] = {}
    for path in needs:
        by_wheel.setdefault(libraries[path].filename, []).append(path)
    remarks = []
    for filename, paths in by_wheel.items():
        foreign = [path for path in paths if needs[path].machine != target.machine]
        if not foreign:
            continue
        shown = f"{', '.join(foreign[:_AT_MOST])}{' ...' if len(foreign) > _AT_MOST else ''}"
        machines = join(sorted({needs[path].machine for path in foreign}))
        if len(foreign) == len(paths) and all(tag.platform != "any" for tag in tags(filename)):
            raise GateError(
                f"{filename} has libraries for {machines} only ({shown}), and the target is {target.machine}: its tag is wrong.",
                hint="Choose another version. Nothing was published.",
            )
        remarks.append(f"{filename} has libraries for {machines}, which {target.machine} does not load: {shown}.")
    return tuple(remarks)
