"""Makes a wheel of an installed distribution: what runs here is what will run there."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import efsprov.core

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def own_wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel of the efsprov that runs here, installed or from a checkout.

    The same files give the same bytes. Nothing but the package's own files and its metadata are in it.
    """
    installed = distribution("efsprov")
    folder = Path(next(iter(efsprov.core.__path__))).parent
    return pack(installed, {f"efsprov/{path.relative_to(folder).as_posix()}": path for path in _files(folder)})


def pack(installed: Distribution, files: Mapping[str, Path]) -> tuple[str, bytes]:
    """Return a pure wheel with ``files`` (name in the wheel -> where it is) and the distribution's metadata."""
    name = f"{installed.metadata['Name'].replace('-', '_')}-{installed.version}"
    contents = {inside: path.read_bytes() for inside, path in files.items()}
    contents[f"{name}.dist-info/METADATA"] = (installed.read_text("METADATA") or "").encode()
    contents[f"{name}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: efsprov\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{name}.dist-info/RECORD"
    lines = [f"{inside},sha256={_digest(content)},{len(content)}" for inside, content in sorted(contents.items())]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    return f"{name}-py3-none-any.whl", archive(contents)


def archive(contents: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> bytes:
    """Return a zip of ``contents``, the same for the same content; ``executable`` names those that may be run."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        for inside, content in sorted(contents.items()):
            member = zipfile.ZipInfo(inside, _EPOCH)
            member.external_attr = (0o100755 if inside in executable else 0o100644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(member, content)
    return written.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            yield from _files(path)
        elif path.is_file() and path.suffix not in {".pyc", ".pyo"}:
            yield path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
