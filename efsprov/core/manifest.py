"""The manifest of a release, `release.json`: what it is, what it was made from, and what was measured on the way."""

from typing import Final, Literal

from pydantic import AwareDatetime, Field, ValidationError

from efsprov.core.errors import IntegrityError
from efsprov.core.frozen import Frozen

NAME: Final = "release.json"
FORMAT: Final = 1


class Distribution(Frozen):
    """One installed distribution and the wheel it came from; sizes in bytes."""

    name: str
    version: str
    wheel: str
    sha256: str
    size: int = 0
    installed_size: int = 0
    requested: bool = False


class Builder(Frozen):
    """The machine that built the release."""

    kind: str
    host: str
    python: str
    efsprov: str


class Smoke(Frozen):
    """The smoke test: what was imported by which interpreter, or why it was left out.

    ``box`` is how the run was held: in "namespaces" of the kernel, or as a "process" of its own on a private copy.
    ``seconds`` are by the clock, ``cpu_seconds`` of processors, ``peak_bytes`` is the most memory that was in use.
    """

    imports: tuple[str, ...] = ()
    python: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    modules: int = 0
    left_out: str = ""
    box: str = ""


class Figures(Frozen):
    """What was measured: files and bytes of the release, bytes that were hard-linked, seconds of each step."""

    files: int = 0
    bytes: int = 0
    linked_files: int = 0
    linked_bytes: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)


class Manifest(Frozen):
    """`release.json`. ``files_sha256`` is the digest of the file list, which holds the digest of every other file."""

    format: Literal[1] = FORMAT
    id: str
    tx: str
    kind: Literal["deps", "model"] = "deps"
    channel: str
    target: str = ""
    created: AwareDatetime
    requirements: tuple[str, ...] = ()
    lock_digest: str
    packages_digest: str = ""
    files_sha256: str
    distributions: tuple[Distribution, ...] = ()
    builder: Builder
    smoke: Smoke = Smoke()
    figures: Figures = Figures()
    left_out: dict[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    meta: dict[str, str] = Field(default_factory=dict)

    def dump(self) -> bytes:
        """Write the manifest as indented JSON with a newline at its end."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def parse(text: bytes, *, where: str) -> Manifest:
    """Read ``release.json``; raises ``IntegrityError`` naming ``where`` when it is not a manifest."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IntegrityError(
            f"{where} is not a manifest: {'.'.join(map(str, first['loc']))} {first['msg']}.",
            hint="The release is damaged; `efsprov verify` tells more. Roll back, or sync again.",
        ) from error
