"""Imports a release once more by its index, and holds that against the plain import: a difference is an error of the sync.

A function would only find out when it starts. Both runs are in a box, see ``smoke``.
"""

import json
import tempfile
from pathlib import Path

from efsprov.core.errors import SmokeError
from efsprov.pipeline.imports.smoke import CRASHES_SHOWN, SmokeResult, bounded_text, last_lines, private_copy, smoke
from efsprov.pipeline.tools.box import Kind, box_kind
from efsprov.pipeline.tools.run_script import BoxedScript, run_boxed_script

SCRIPT = Path(__file__).parent / "in_target" / "accelerated.py"
BOOTSTRAP = Path(__file__).parents[2] / "bootstrap"
_SHOWN = 3


def import_by_index(
    tree: Path, python: Path, plain: SmokeResult, *, timeout: float = 900, kind: Kind | None = None
) -> None:
    """Import what ``plain`` imported from ``tree``, a finished release without a name, by its index.

    Raises ``SmokeError`` where that fails, or loads other modules, unless the plain import does not always load the same.
    """
    kind = box_kind() if kind is None else kind
    with tempfile.TemporaryDirectory(prefix="efsprov-smoke-") as folder:
        home, report = Path(folder, "home"), Path(folder, "report")
        home.mkdir()
        seen = tree.resolve() if kind == "namespaces" else private_copy(tree, Path(folder, "tree"))
        script = BoxedScript(
            SCRIPT,
            (str(seen), str(BOOTSTRAP), str(report), *plain.imports),
            home=home,
            readable=(seen, BOOTSTRAP),
            writable=(Path(folder),),
            flags=CRASHES_SHOWN,
            seconds=timeout,
        )
        outcome = run_boxed_script(python, script, kind=kind)
        text = bounded_text(report)
    if outcome.code != 0 or not text.startswith("["):
        lines = "\n  ".join(last_lines(outcome.output))
        raise SmokeError(
            f"`import {', '.join(plain.imports)}` works from the files, and fails by the release's index:\n  {lines}",
            hint="Nothing was published. This is a fault of efsprov: please report it with the name of the package.",
        )
    found, expected = set(json.loads(text)), set(plain.modules)
    if found != expected and set(smoke(tree / "site", python, plain.imports, kind=kind).modules) == expected:
        names = sorted(found ^ expected)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise SmokeError(
            f"`import {', '.join(plain.imports)}` loads other modules by the release's index than from the files: "
            f"{', '.join(names[:_SHOWN])}{more}.",
            hint="Nothing was published. This is a fault of efsprov: please report it with the name of the package.",
        )
