"""What `--slim` leaves out of a release, by path alone, and a RECORD that stays right without it."""

import csv
import io
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from efsprov.core.errors import UsageError

DEBUG: Final = "debug"
LIST_NAME: Final = "left-out.list"  # in a release: a file list of what was left out

RULES: Final[Mapping[str, str]] = {
    "headers": "C, C++ and CUDA headers, which only compilers read (torch.compile and cpp_extension do)",
    "static": "static libraries and libtool archives, which only linkers read",
    "tests": "folders named `tests`, and folders named `test` that are not packages",
    "stubs": "type stubs (.pyi), which only type checkers read",
    DEBUG: "debug sections of libraries and programs, which only debuggers read",
}

_HEADERS: Final = (".h", ".hh", ".hpp", ".hxx", ".h++", ".cuh", ".inl", ".ipp", ".tcc")
_STATIC: Final = (".a", ".la")


@dataclass(frozen=True)
class Saving:
    """What one rule would leave out: files, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Saving") -> "Saving":
        return Saving(self.files + other.files, self.bytes + other.bytes)


def check_rules(names: Iterable[str]) -> tuple[str, ...]:
    """Return the rules in the order of ``RULES``, each once; raises ``UsageError`` for one that there is not."""
    request = set(names)
    unknown = sorted(request - RULES.keys())
    if unknown:
        raise UsageError(f"There is no slim rule {unknown[0]!r}.", hint=f"There are: {', '.join(RULES)}.")
    return tuple(rule for rule in RULES if rule in request)


def select(paths: Collection[str], rules: Collection[str]) -> dict[str, str]:
    """Map each of a site's ``paths`` that one of ``rules`` leaves out to that rule, the first in the order of ``RULES``.

    Metadata (`*.dist-info`) is always kept. The rule ``debug`` changes files and leaves none out.
    """
    packages = {path.removesuffix("/__init__.py") for path in paths if path.endswith("/__init__.py")}
    applied = [(rule, test) for rule, test in _tests(packages).items() if rule in rules]
    chosen = {}
    for path in paths:
        if path.split("/", 1)[0].endswith(".dist-info"):
            continue
        rule = next((rule for rule, applies in applied if applies(path)), None)
        if rule is not None:
            chosen[path] = rule
    return chosen


def savings(sizes: Mapping[str, int]) -> dict[str, Saving]:
    """Say what each rule would save by itself, of files whose sizes in bytes are given by path; ``debug`` is not reported."""
    saved = {}
    for rule in RULES:
        if rule != DEBUG:
            chosen = select(sizes.keys(), {rule})
            saved[rule] = Saving(len(chosen), sum(sizes[path] for path in chosen))
    return saved


def rewrite_record(text: str, *, without: Collection[str], changed: Mapping[str, tuple[str, int]]) -> str:
    """Return a RECORD without the paths in ``without``, and with new digests for those in ``changed``.

    ``changed`` maps paths to SHA-256 in hex and size in bytes. All other rows stay as they are.
    """
    rewritten = io.StringIO()
    writer = csv.writer(rewritten, lineterminator="\n")
    for row in csv.reader(text.splitlines()):
        if not row or row[0] in without:
            continue
        if row[0] in changed:
            sha256, size = changed[row[0]]
            encoded = urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode("ascii")
            row = [row[0], f"sha256={encoded}", str(size)]  # noqa: PLW2901
        writer.writerow(row)
    return rewritten.getvalue()


def _tests(packages: Collection[str]) -> dict[str, Callable[[str], bool]]:
    def is_test(path: str) -> bool:
        folders = path.split("/")[:-1]
        return any(
            name == "tests" or (name == "test" and "/".join(folders[: depth + 1]) not in packages)
            for depth, name in enumerate(folders)
        )

    return {
        "headers": lambda path: path.endswith(_HEADERS),
        "static": lambda path: path.endswith(_STATIC),
        "tests": is_test,
        "stubs": lambda path: path.endswith(".pyi"),
    }
