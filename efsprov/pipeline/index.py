"""Writes a release's import index and pack, by which the shim imports without looking anything up."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from efsprov.core.errors import BuildError
from efsprov.pipeline.smoke import SmokeResult

SCRIPT = Path(__file__).parent / "in_target" / "index.py"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class IndexReport:
    """What was indexed; sizes in bytes.

    ``hot_modules`` and ``hot_bytes`` are the modules and bytecode that the smoke test's imports use, ``library_bytes``
    the pages of shared libraries that they touch. ``planned_reads`` requests will bring ``planned_bytes``.
    """

    modules: int
    packed: int
    hot_modules: int
    hot_bytes: int
    library_bytes: int
    planned_reads: int
    planned_bytes: int
    index_bytes: int
    pack_bytes: int


def write_index(
    release: Path, site: Path, python: Path, smoke: SmokeResult | None, *, arch: str = "x86_64"
) -> IndexReport:
    """Write ``import.index`` and ``import.pack`` into the folder ``release`` for the compiled tree ``site``.

    ``python`` is an interpreter of the target's version; ``arch`` the target's architecture in Lambda's words, which may
    be another than this machine's. Without ``smoke`` everything can be found, but nothing is read ahead. Raises
    ``BuildError`` when the interpreter fails.
    """
    request = {
        "order": smoke.order if smoke else (),
        "loaded": smoke.loaded if smoke else (),
        "starts": smoke.starts if smoke else (),
        "quoted": smoke.quoted if smoke else (),
        "libraries": dict(smoke.libraries) if smoke else {},
    }
    done = subprocess.run(
        [python, "-I", "-S", "-B", SCRIPT, site, release, MACHINES[arch]],
        input=json.dumps(request).encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise BuildError(f"{python} could not index {site}: {last[0]}", hint="Is there room on the builder's disk?")
    return IndexReport(**json.loads(done.stdout))
