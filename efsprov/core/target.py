"""Targets: a Lambda runtime, or a machine's own interpreter, and an architecture; `python3.11-x86_64`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Final, Literal, get_args

from packaging.tags import Tag, compatible_tags, cpython_tags

from efsprov.core.errors import UsageError

Arch = Literal["x86_64", "arm64"]
ARCHES: Final[tuple[Arch, ...]] = get_args(Arch)
HOST: Final = "host"
AUTO: Final = "auto"
# PEP 599, 571 and 513: the names that manylinux had before it was called by its glibc, and the oldest glibc of each.
_ALIASES: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_GLIBC: Final[dict[Arch, int]] = {"x86_64": 5, "arm64": 17}
_NAME = re.compile(r"python(3\.\d{1,2})-(x86_64|arm64)(?:-glibc2\.(\d{1,3}))?")


@dataclass(frozen=True)
class LambdaRuntime:
    """A Python runtime of AWS Lambda: its system, that system's glibc, and the day on which its support ends.

    ``ends`` is None for a runtime in preview: AWS has not announced the day, and `auto` never takes it.
    """

    name: str
    system: str
    glibc: tuple[int, int]
    ends: date | None

    @property
    def python(self) -> str:
        """The interpreter's version, "3.11"."""
        return self.name.removeprefix("python")

    def remark(self, today: date) -> str:
        """Say that the runtime is in preview, that its support has ended by ``today``, or ends within half a year; else nothing."""
        if self.ends is None:
            return (
                f"The {self.name} runtime is in preview: AWS may change it, and does not support production use of it."
            )
        if today >= self.ends:
            return f"AWS ended its support of the {self.name} runtime on {self.ends}: it gets no more security updates."
        if (self.ends - today).days <= 183:
            return f"AWS ends its support of the {self.name} runtime on {self.ends}."
        return ""


_AL2 = ("Amazon Linux 2", (2, 26))
_AL2023 = ("Amazon Linux 2023", (2, 34))
# Oldest first. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
LAMBDA_RUNTIMES: Final = (
    LambdaRuntime("python3.9", *_AL2, date(2025, 12, 15)),
    LambdaRuntime("python3.10", *_AL2, date(2026, 10, 31)),
    LambdaRuntime("python3.11", *_AL2, date(2027, 6, 30)),
    LambdaRuntime("python3.12", *_AL2023, date(2028, 10, 31)),
    LambdaRuntime("python3.13", *_AL2023, date(2029, 6, 30)),
    LambdaRuntime("python3.14", *_AL2023, date(2029, 6, 30)),
    LambdaRuntime("python3.15", *_AL2023, None),  # public preview since 2026-07-24
)
_BY_NAME: Final = {runtime.name: runtime for runtime in LAMBDA_RUNTIMES}


@dataclass(frozen=True)
class Target:
    """Where a release runs: CPython ``python`` ("3.11") on ``arch`` and ``glibc`` (2, 26); ``runtime`` may be "host"."""

    python: str
    arch: Arch
    glibc: tuple[int, int]
    runtime: str

    @property
    def name(self) -> str:
        """The directory's name: `python3.11-x86_64`; a host's has its glibc, too: `python3.11-x86_64-glibc2.36`."""
        base = f"python{self.python}-{self.arch}"
        return f"{base}-glibc{self.glibc[0]}.{self.glibc[1]}" if self.runtime == HOST else base

    @property
    def lambda_runtime(self) -> LambdaRuntime | None:
        """The Lambda runtime, None for a host."""
        return _BY_NAME.get(self.runtime)

    @property
    def machine(self) -> str:
        """The architecture as Linux and wheel tags call it: `aarch64` is Lambda's arm64."""
        return "aarch64" if self.arch == "arm64" else self.arch

    @cached_property
    def tag_ranks(self) -> dict[Tag, int]:
        """The wheel tags that fit, each with its rank; 0 is the best."""
        return {tag: rank for rank, tag in reversed(list(enumerate(wheel_tags(self))))}

    def __str__(self) -> str:
        if self.runtime == HOST:
            return f"this machine (CPython {self.python}, {self.arch}, glibc {self.glibc[0]}.{self.glibc[1]})"
        return f"{self.runtime} on {self.arch}"

    @classmethod
    def parse(cls, name: str) -> "Target":
        """Read a target's ``name``; raises ``UsageError`` where it is none."""
        match = _NAME.fullmatch(name)
        if match and match[3]:
            return host_target(python=match[1], arch=_arch(match[2]), glibc=(2, int(match[3])))
        if match and f"python{match[1]}" in _BY_NAME:
            return lambda_target(f"python{match[1]}", _arch(match[2]))
        raise UsageError(
            f"{name!r} is not a target.",
            hint="A target is a runtime and an architecture, python3.11-x86_64, and a host's has its glibc, too.",
        )


def lambda_target(runtime: str, arch: Arch) -> Target:
    """Return the target of a Lambda runtime; raises ``UsageError`` where Lambda has no such Python runtime."""
    known = _BY_NAME.get(runtime)
    if known is None:
        names = ", ".join(r.name for r in LAMBDA_RUNTIMES)
        raise UsageError(f"There is no Lambda runtime {runtime!r}.", hint=f"--runtime takes {names}, auto or host.")
    return Target(known.python, arch, known.glibc, known.name)


def host_target(*, python: str, arch: Arch, glibc: tuple[int, int]) -> Target:
    """Return the target of a machine with CPython ``python`` ("3.11"), ``arch`` and ``glibc`` (2, 36)."""
    return Target(python, arch, glibc, HOST)


def targets_for(runtime: str, arch: Arch) -> tuple[Target, ...]:
    """Return the Lambda targets that ``runtime`` may mean, newest first: one, or for "auto" all that are not in preview."""
    if runtime == AUTO:
        return tuple(lambda_target(r.name, arch) for r in reversed(LAMBDA_RUNTIMES) if r.ends is not None)
    return (lambda_target(runtime, arch),)


@lru_cache
def wheel_tags(target: Target) -> tuple[Tag, ...]:
    """Return the tags of wheels that fit ``target``, best first (PEP 425, PEP 600).

    `linux_ARCH` is among them, last of the platforms: builds from outside the package index carry it, and what they
    need of the C library shows only in their files.
    """
    major, minor = (int(part) for part in target.python.split("."))
    platforms = [*_manylinux(target), f"linux_{target.machine}"]
    interpreter = f"cp{major}{minor}"
    return (
        *cpython_tags((major, minor), [interpreter], platforms),
        *compatible_tags((major, minor), interpreter, platforms),
    )


def _manylinux(target: Target) -> Iterator[str]:
    for minor in range(target.glibc[1], _OLDEST_GLIBC[target.arch] - 1, -1):
        yield f"manylinux_2_{minor}_{target.machine}"
        if minor in _ALIASES:
            yield f"{_ALIASES[minor]}_{target.machine}"


def _arch(name: str) -> Arch:
    return "arm64" if name == "arm64" else "x86_64"
