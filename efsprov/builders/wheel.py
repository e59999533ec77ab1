"""Makes a wheel of an installed distribution: what runs here is what will run there."""

from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

import efsprov.core
from efsprov.emit.wheel import pack_wheel, wheel_name


def own_wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel of the efsprov that runs here, installed or from a checkout.

    The same files give the same bytes. Nothing but the package's own files and its metadata are in it.
    """
    installed = distribution("efsprov")
    folder = Path(next(iter(efsprov.core.__path__))).parent
    return pack(installed, {f"efsprov/{path.relative_to(folder).as_posix()}": path for path in _files(folder)})


def pack(installed: Distribution, files: Mapping[str, Path]) -> tuple[str, bytes]:
    """Return a pure wheel with ``files`` (name in the wheel -> where it is) and the distribution's metadata."""
    name = installed.metadata["Name"]
    contents = {inside: path.read_bytes() for inside, path in files.items()}
    metadata = (installed.read_text("METADATA") or "").encode()
    return wheel_name(name, installed.version), pack_wheel(name, installed.version, contents, metadata=metadata)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            yield from _files(path)
        elif path.is_file() and path.suffix not in {".pyc", ".pyo"}:
            yield path
