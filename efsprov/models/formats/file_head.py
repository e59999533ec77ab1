"""The first bytes of a file, which tell its format."""

from pathlib import Path


def head(path: Path, length: int = 64) -> bytes:
    """Return a file's first bytes; raises ``OSError``."""
    with path.open("rb") as file:
        return file.read(length)
