"""Tells by a wheel's file name whether it can run in a target, and if not, why."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from efsprov.core.errors import GateError
from efsprov.core.target import HOST, Target
from efsprov.core.wording import join

_MANYLINUX = re.compile(r"manylinux_2_(\d+)_(\w+)")
_LEGACY: Final = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
_LINUX = re.compile(
    r"(?:manylinux\w*?|musllinux_\d+_\d+|linux)_(x86_64|aarch64|i686|armv7l|armv6l|ppc64le?|s390x|riscv64|loongarch64)"
)


class Reason(IntEnum):
    """Why a wheel does not fit, the nearest miss first."""

    GLIBC = 1
    LIBC = 2
    ARCHITECTURE = 3
    SYSTEM = 4
    INTERPRETER = 5


@dataclass(frozen=True)
class Misfit:
    """What the wheels at hand need, and what the target has instead.

    ``needs`` are glibc versions ("2.28"), C libraries, architectures, platforms or interpreters ("CPython 3.9"), by
    ``reason``; ``has`` is a clause, "the runtime has 2.26".
    """

    reason: Reason
    needs: tuple[str, ...]
    has: str

    def __str__(self) -> str:
        """What to say of the wheels: "need glibc 2.28, the runtime has 2.26"."""
        needs = join(self.needs, "or")
        return f"need glibc {needs}, {self.has}" if self.reason is Reason.GLIBC else f"are for {needs}, {self.has}"


def rank(filename: str, target: Target) -> int | None:
    """Return how well a wheel fits, 0 being best, or None where it does not fit at all."""
    return min((target.tag_ranks[tag] for tag in tags(filename) if tag in target.tag_ranks), default=None)


def misfit(filenames: Iterable[str], target: Target) -> Misfit | None:
    """Return the nearest reason why none of these wheels fits ``target``; None when one does, or there is none."""
    names = tuple(filenames)
    if any(rank(name, target) is not None for name in names):
        return None
    found = [_tag_misfit(tag, target) for name in names for tag in tags(name)]
    if not found:
        return None
    nearest = min(reason for reason, _, _ in found)
    needs = {need for reason, need, _ in found if reason is nearest}
    has = next(has for reason, _, has in found if reason is nearest)
    if nearest is Reason.GLIBC:  # the oldest that would do
        return Misfit(nearest, (min(needs, key=_numbers),), has)
    return Misfit(nearest, tuple(sorted(needs, key=_numbers)), has)


@lru_cache(4096)
def tags(filename: str) -> frozenset[Tag]:
    """Return the tags that a wheel's name stands for, compressed sets taken apart (PEP 425)."""
    try:
        return parse_wheel_filename(filename)[3]
    except InvalidWheelFilename as error:
        raise GateError(
            f"{filename!r} is not a wheel's file name: {error}.",
            hint="A wheel is named NAME-VERSION-PYTHON-ABI-PLATFORM.whl; whoever made this one must name it so.",
        ) from error


def _tag_misfit(tag: Tag, target: Target) -> tuple[Reason, str, str]:
    host = "this machine" if target.runtime == HOST else "the runtime"
    if (tag.interpreter, tag.abi) not in _interpreters(target):
        return Reason.INTERPRETER, _interpreter_name(tag), f"the target is CPython {target.python}"
    if tag.platform.startswith("musllinux"):
        return Reason.LIBC, "musl", f"{host} has glibc"
    linux = _LINUX.fullmatch(tag.platform)
    if linux is None:
        return Reason.SYSTEM, tag.platform, "the target is Linux"
    if linux[1] != target.machine:
        return Reason.ARCHITECTURE, linux[1], f"the target is {target.machine}"
    wanted = _MANYLINUX.fullmatch(tag.platform)
    minor = wanted[1] if wanted else str(_LEGACY.get(tag.platform.split("_")[0], "?"))
    return Reason.GLIBC, f"2.{minor}", f"{host} has {target.glibc[0]}.{target.glibc[1]}"


@lru_cache
def _interpreters(target: Target) -> frozenset[tuple[str, str]]:
    return frozenset((tag.interpreter, tag.abi) for tag in target.tag_ranks)


def _interpreter_name(tag: Tag) -> str:
    if tag.interpreter.startswith("cp") and tag.interpreter[2:].isdigit():
        base = f"CPython {tag.interpreter[2]}.{tag.interpreter[3:]}"
        return f"{base} free-threaded" if tag.abi.endswith("t") and tag.abi != "abi3t" else base
    return tag.interpreter


def _numbers(text: str) -> tuple[tuple[int, int | str], ...]:
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text))
