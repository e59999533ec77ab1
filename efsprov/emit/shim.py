"""The shim in the two forms in which functions get it: a Lambda layer, and a wheel for container images.

Both hold the source of `efsprov.bootstrap` and nothing else of efsprov: no bytecode, which would be one interpreter's,
and no `efsprov/__init__.py`, so that they and an installed efsprov are one namespace package (PEP 420).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from efsprov.emit import wheel
from efsprov.emit.archive import Member, pack

DISTRIBUTION: Final = "efsprov-bootstrap"
_PACKAGE: Final = "efsprov/bootstrap"
_DESCRIPTION: Final = (
    "import efsprov.bootstrap: puts a release of efsprov on sys.path, in Lambda functions and containers."
)


def shim_files() -> dict[str, bytes]:
    """Return the shim's source files, by their path below `site-packages`."""
    spec = find_spec("efsprov.bootstrap")  # found and not imported: it would look for a release
    if spec is None or spec.origin is None:
        raise AssertionError("efsprov.bootstrap is a part of efsprov")
    folder = Path(spec.origin).parent
    return {f"{_PACKAGE}/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.py"))}


def layer_archive() -> bytes:
    """Return the Lambda layer's zip: it works in every Python runtime, on both architectures.

    Not compressed: a few tens of kilobytes, and the bytes then depend on the source alone.
    """
    return pack({f"python/{path}": Member(content) for path, content in shim_files().items()}, compressed=False)


def wheel_name(version: str) -> str:
    """Return the file name of the wheel."""
    return wheel.wheel_name(DISTRIBUTION, version)


def wheel_archive(version: str) -> bytes:
    """Return the wheel of the distribution `efsprov-bootstrap`, of the same version as efsprov."""
    metadata = (
        f"Metadata-Version: 2.4\nName: {DISTRIBUTION}\nVersion: {version}\nSummary: {_DESCRIPTION}\n"
        "License-Expression: Apache-2.0\nRequires-Python: >=3.9\n"
    ).encode()
    return wheel.pack_wheel(DISTRIBUTION, version, shim_files(), metadata=metadata, compressed=False)
