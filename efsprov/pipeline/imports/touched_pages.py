"""Remembers which pages of its libraries an import touched, for the next smoke test of the very same files.

Finding that out may need a page cache that has forgotten them (see `smoke`), which then reads them from the disk again: of
tensorflow 2.15 over 1 GB. The import itself is made each time: it is the proof.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from efsprov.pipeline.imports.smoke import SCRIPT, Touched
from efsprov.pipeline.tools.interpreter import Interpreter


class TouchedPages:
    """What is known in ``folder`` of one import: of ``imports``, by ``python``, of files with ``hashes`` by their paths."""

    def __init__(self, folder: Path, hashes: Mapping[str, str], python: Interpreter, imports: tuple[str, ...]) -> None:
        files = [f"{sha256} {path}" for path, sha256 in sorted(hashes.items())]
        question = json.dumps([SCRIPT.read_text("utf-8"), platform.release(), python.full, imports, files])
        self._path = folder / f"{hashlib.sha256(question.encode()).hexdigest()}.json"

    def recall(self) -> Touched | None:
        """Return what an earlier import touched: (offset, size) runs by library; None where there was none."""
        try:
            result = json.loads(self._path.read_text("utf-8", "surrogateescape"))
            return {name: tuple((int(at), int(length)) for at, length in runs) for name, runs in result.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # not there, or torn by a crash: it is found out again
            return None

    def remember(self, touched: Touched) -> None:
        """Keep what was found out, if anything was."""
        if not touched or self._path.exists():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{uuid4().hex}")
        try:
            beside.write_text(json.dumps(touched), "utf-8", "surrogateescape")
            beside.rename(self._path)
        except OSError:  # no room: then it is found out again
            with suppress(OSError):
                beside.unlink()
