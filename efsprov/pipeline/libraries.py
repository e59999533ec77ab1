"""Holds what libraries themselves need against the target: a wheel's tags can be wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from efsprov.core.errors import GateError
from efsprov.core.target import LAMBDA_RUNTIMES, Target
from efsprov.core.wheels import join, tags
from efsprov.pipeline.archive import Wheel
from efsprov.pipeline.elf import DamagedError, ElfNeeds, read_elf

_AT_MOST: Final = 3


def check_libraries(site: Path, libraries: Mapping[str, Wheel], target: Target) -> tuple[str, ...]:
    """Read every library of ``site``; return remarks on those that cannot be loaded but need not be.

    Raises ``GateError`` naming file, wheel and symbol version where a library for the target's machine needs a newer
    glibc than the target has, or where a wheel has libraries for other machines only.
    """
    needs: dict[str, ElfNeeds] = {}
    remarks = []
    for path in libraries:
        try:
            read = read_elf(site / path)
        except DamagedError as error:
            remarks.append(f"{path} of {libraries[path].filename} is no library that can be loaded: {error}.")
            continue
        if read is not None:
            needs[path] = read
    _check_glibc(needs, libraries, target)
    return (*remarks, *_check_machines(needs, libraries, target))


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
