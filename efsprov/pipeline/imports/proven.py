"""Remembers which imports by an index were compared with the plain import, for the next release of the very same files.

The comparison (`both_ways`) is between two runs of the same code on the same files: where the files, what the plain import
did with them, the code that writes and reads the index and the interpreter are the same, so is its outcome. The plain
import, which proves that a release works at all, is made each time.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from efsprov.pipeline.imports.both_ways import BOOTSTRAP, SCRIPT
from efsprov.pipeline.imports.smoke import SmokeResult
from efsprov.pipeline.tools.interpreter import Interpreter


class ProvenImport:
    """One import, of the files with ``hashes`` by their paths, of which ``plain`` is what it did; noted in ``folder``."""

    def __init__(self, folder: Path, hashes: Mapping[str, str], python: Interpreter, plain: SmokeResult) -> None:
        files = [f"{sha256} {path}" for path, sha256 in sorted(hashes.items())]
        did = [plain.imports, plain.modules, plain.order, plain.loaded, plain.starts, plain.quoted, plain.box]
        pages = sorted(plain.libraries.items())
        question = json.dumps([_code(), platform.release(), python.full, str(python.path), did, pages, files])
        self._path = folder / hashlib.sha256(question.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def is_known(self) -> bool:
        """Whether the two imports were compared before, and did the same."""
        return self._path.is_file()

    def remember(self) -> None:
        """Note that they did the same; where there is no room for that, they are compared again next time."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()


def _code() -> str:
    """Return the digest of the code that writes the index, and of the shim that reads it."""
    files = sorted([*SCRIPT.parent.glob("*.py"), *BOOTSTRAP.glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
