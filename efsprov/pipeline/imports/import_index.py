"""Writes a release's import index and pack, by which the shim imports without looking anything up, and tells its figures."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from efsprov.core.errors import BuildError
from efsprov.pipeline.imports.smoke import SmokeResult
from efsprov.pipeline.tools.run_script import run_script

SCRIPT = Path(__file__).parent / "in_target" / "index.py"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
INDEX_NAME = "import.index"
# The header up to its checksum; docs/reference/import-index.md.
_MAGIC, _VERSIONS = b"\x89EFSPIX\n", {2, 3}
_HEAD = struct.Struct("<8sI4sQQ10Q")


@dataclass(frozen=True)
class ImportFigures:
    """What importing a release takes, as its builder found; sizes in bytes.

    ``modules`` can be imported, ``packed`` of them have bytecode in the pack. ``hot_modules`` and ``hot_bytes`` are the
    modules and bytecode that the smoke test's imports use, ``library_bytes`` the pages of shared libraries that they touch.
    ``planned_reads`` requests will bring ``planned_bytes``. The last three are 0: what the builder measured hangs on the
    machine, and is in the manifest (``Smoke``), so that two builds of one lock can have the same index. Indexes of before
    have there the peak of memory in bytes, the microseconds by the clock, and those of processors.
    """

    modules: int
    packed: int
    hot_modules: int
    hot_bytes: int
    library_bytes: int
    planned_reads: int
    planned_bytes: int
    peak_bytes: int
    microseconds: int
    cpu_microseconds: int

    @property
    def touched_bytes(self) -> int:
        """Bytes of the release that an import uses."""
        return self.hot_bytes + self.library_bytes


@dataclass(frozen=True)
class IndexReport(ImportFigures):
    """What was written: sizes, and SHA-256 in hex by the name of the file."""

    index_bytes: int
    pack_bytes: int
    sha256: Mapping[str, str] = field(repr=False)


def write_index(
    release: Path, site: Path, python: Path, smoke: SmokeResult | None, *, arch: str = "x86_64", bound: str = ""
) -> IndexReport:
    """Write ``import.index`` and the files in ``import.packs`` into the folder ``release`` for the compiled tree ``site``.

    ``python`` is an interpreter of the target's version; ``arch`` the target's architecture in Lambda's words, which may
    be another than this machine's. ``bound`` is how the release's id will end (the start of the lock's digest): the shim uses
    the index of no other release. Without ``smoke`` everything can be found, but nothing is read ahead. Raises
    ``BuildError`` when the interpreter fails.
    """
    request = {
        "bound": bound,
        "order": smoke.order if smoke else (),
        "loaded": smoke.loaded if smoke else (),
        "starts": smoke.starts if smoke else (),
        "quoted": smoke.quoted if smoke else (),
        "libraries": dict(smoke.libraries) if smoke else {},
    }
    given = json.dumps(request).encode("utf-8", "surrogateescape")
    done = run_script(python, SCRIPT, (site, release, MACHINES[arch]), given=given)
    if done.code:
        raise BuildError(
            f"{python} could not index {site}: {done.last_line}", hint="Is there room on the builder's disk?"
        )
    return IndexReport(**json.loads(done.stdout))


def read_figures(release: Path) -> ImportFigures | None:
    """Return what the builder wrote into the index of a release; None where there is none that can be read."""
    try:
        with (release / INDEX_NAME).open("rb") as file:
            head = file.read(_HEAD.size)
    except OSError:
        return None
    if len(head) < _HEAD.size:
        return None
    magic, version, _, _, _, *figures = _HEAD.unpack(head)
    return ImportFigures(*figures) if magic == _MAGIC and version in _VERSIONS else None
