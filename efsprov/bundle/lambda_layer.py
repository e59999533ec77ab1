"""A release's packages as Lambda layers, for what fits: where Lambda looks for packages, with the release's own bytecode.

https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html. The bytecode is of the kind that is never compared with its
source (PEP 552), so the dates of a zip do it no harm.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.core.errors import UsageError
from efsprov.core.filelist import FileEntry
from efsprov.core.slim import savings
from efsprov.core.target import Target
from efsprov.emit.archive import MAX_UNZIPPED, zip_entry
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.release_file import read_release_file
from efsprov.store.verify import sha256_of

MOST_LAYERS: Final = 5
"""A function takes five (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
_SITE: Final = "site/"
_SHOWN: Final = 8


@dataclass(frozen=True)
class LayerPlan:
    """One layer: ``files`` by their paths in the archive; sizes are bytes once it is unzipped."""

    files: tuple[tuple[str, FileEntry], ...]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry.size for _, entry in self.files)

    @property
    def packages(self) -> tuple[str, ...]:
        """The names at the top of what it holds."""
        return tuple(dict.fromkeys(_package(entry) for _, entry in self.files))


def plan_layers(
    files: Sequence[FileEntry], target: Target, *, parts: int = 1, reserve: int = 0, bytecode: bool = True
) -> tuple[LayerPlan, ...]:
    """Share a release's packages out among ``parts`` layers, as even as whole packages allow.

    ``reserve`` bytes are kept for the function's own code and its other layers: Lambda counts all of them together.
    Without ``bytecode`` every cold start compiles what it imports.
    Raises ``UsageError`` for a target that is not Lambda's, and for what does not fit, saying what takes the room.
    """
    if target.lambda_runtime is None:
        raise UsageError(
            f"A layer is for a runtime of Lambda's, and {target.name} is none.",
            hint="Sync the channel with --runtime python3.11 (or another), or use a container image.",
        )
    if not 1 <= parts <= MOST_LAYERS:
        raise UsageError(f"A function takes up to {MOST_LAYERS} layers, not {parts}.", hint="--split takes 1 to 5.")
    inside = [
        entry for entry in sorted(files) if entry.path.startswith(_SITE) and (bytecode or not _is_bytecode(entry))
    ]
    _refuse_too_large(inside, reserve)
    packages: dict[str, list[FileEntry]] = {}
    for entry in inside:
        packages.setdefault(_package(entry), []).append(entry)
    shares: list[list[FileEntry]] = [[] for _ in range(min(parts, len(packages)) or 1)]
    for name in sorted(packages, key=lambda name: (-_total(packages[name]), name)):
        min(shares, key=_total).extend(packages[name])
    top = f"python/lib/python{target.python}/site-packages/"
    return tuple(
        LayerPlan(tuple((top + entry.path.removeprefix(_SITE), entry) for entry in sorted(share))) for share in shares
    )


def write_layer(release: Path, plan: LayerPlan, path: Path) -> tuple[int, str]:
    """Write a layer's zip from a release's folder; return its size and SHA-256 in hex. The same files give the same bytes.

    Raises ``IntegrityError`` for a file that is not what the release's list says, ``RootError``; then no zip is left.
    """
    with translate_os_errors("Writing the layer", path):
        try:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, entry in plan.files:
                    with archive.open(zip_entry(name, executable=bool(entry.mode & 0o100)), "w") as into:
                        for chunk in read_release_file(release, entry):
                            into.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path.stat().st_size, sha256_of(path)


def _refuse_too_large(files: Sequence[FileEntry], reserve: int) -> None:
    total = _total(files)
    if total + reserve <= MAX_UNZIPPED:
        return
    sizes: dict[str, int] = {}
    for entry in files:
        sizes[_package(entry)] = sizes.get(_package(entry), 0) + entry.size
    largest = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]
    saved = savings({entry.path.removeprefix(_SITE): entry.size for entry in files})
    lines = [f"  {size / 1e6:10,.1f} MB  {name}" for name, size in largest]
    lines += [
        f"  {saving.bytes / 1e6:10,.1f} MB  less with --slim {rule}" for rule, saving in saved.items() if saving.bytes
    ]
    if compiled := sum(entry.size for entry in files if _is_bytecode(entry)):
        lines.append(f"  {compiled / 1e6:10,.1f} MB  less with --no-bytecode (each cold start compiles instead)")
    kept = f", and {reserve:,} are kept for others" if reserve else ""
    raise UsageError(
        f"The release has {total:,} bytes{kept}; Lambda takes {MAX_UNZIPPED:,} with all layers and the function itself.\n"
        + "\n".join(lines),
        hint="Keep it on EFS (`efsprov attach`), sync it with --slim, or take a smaller runtime: TFLite or ONNX "
        "(`efsprov model optimize`).",
    )


def _is_bytecode(entry: FileEntry) -> bool:
    return "/__pycache__/" in f"/{entry.path}"


def _package(entry: FileEntry) -> str:
    return entry.path.removeprefix(_SITE).partition("/")[0]


def _total(files: Sequence[FileEntry]) -> int:
    return sum(entry.size for entry in files)
