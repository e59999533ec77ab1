"""The JSON documents of a bundle: index, manifest and config, in the forms of the OCI image specification 1.1.

https://github.com/opencontainers/image-spec: image-index.md, manifest.md, config.md, descriptor.md. The config says of the
release what does not depend on where and when it was made, so the same release has the same digests everywhere; what does
depend on it stands in the index, beside the name.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from efsprov.core.errors import IntegrityError, NotFoundError, UsageError
from efsprov.core.frozen import Frozen
from efsprov.core.manifest import Manifest

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
REF: Final = "org.opencontainers.image.ref.name"
CREATED: Final = "org.opencontainers.image.created"
RELEASE: Final = "io.efsprov.release"
"""The label of the config that describes the release, and the annotation of the index that says how it was made."""
MOST_BYTES: Final = 16 << 20
"""No document is larger; what claims to be is not read."""
_FORMAT: Final = 1
_DIGEST: Final = r"sha256:[0-9a-f]{64}"
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}  # as GOARCH, which config.md asks for
# What a release says of the run that made it, and not of itself.
_OF_THE_RUN: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("id", "tx", "created", "figures"),
    "builder": ("kind", "host"),
    "smoke": ("seconds", "cpu_seconds", "peak_bytes", "box"),
}


class _Document(Frozen):
    model_config = ConfigDict(populate_by_name=True)


T = TypeVar("T", bound=_Document)


class Descriptor(_Document):
    """What points to a blob; ``size`` in bytes."""

    media_type: str = Field(alias="mediaType")
    digest: str = Field(pattern=rf"^{_DIGEST}$")
    size: int = Field(ge=0, le=1 << 44)
    annotations: dict[str, str] = Field(default_factory=dict)

    @property
    def ref(self) -> str:
        """Its name in the index."""
        return self.annotations.get(REF, "")

    @property
    def made(self) -> dict[str, Any]:
        """What the index says of the run that made the release; {} where it says nothing that can be read."""
        try:
            found = json.loads(self.annotations.get(RELEASE, "{}"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def dump(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class ImageManifest(_Document):
    """The manifest of one bundle."""

    config: Descriptor
    layers: tuple[Descriptor, ...] = Field(min_length=1, max_length=127)


class ImageIndex(_Document):
    """`index.json`: the bundles of a place."""

    manifests: tuple[Descriptor, ...] = ()

    def dump(self) -> bytes:
        """Write it, with the bundles in the order of their names."""
        entries = sorted(self.manifests, key=lambda d: (d.ref, d.digest))
        return encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [d.dump() for d in entries]})

    def with_bundle(self, added: Descriptor) -> "ImageIndex":
        """Return the index with one more bundle, in the place of the one of that name, if any."""
        return ImageIndex(manifests=(*(d for d in self.manifests if d.ref != added.ref), added))

    def find(self, wanted: str, *, where: str) -> Descriptor:
        """Return the bundle of a name, of a release's id, of a digest, or of the beginning of one of them.

        "" is the only one there is. Raises ``NotFoundError`` or ``UsageError``, naming what there is.
        """
        names = [d.ref or d.digest for d in self.manifests]
        there = f"There is: {', '.join(sorted(names)[:8])}." if names else "`efsprov bundle push` puts one there."
        exact = [d for d in self.manifests if wanted and wanted in _names(d)]
        found = exact or [d for d in self.manifests if any(name.startswith(wanted) for name in _names(d))]
        if not found:
            raise NotFoundError(
                f"{where} holds no bundle {wanted!r}." if wanted else f"{where} holds no bundle.", hint=there
            )
        if len({d.digest for d in found}) > 1:
            raise UsageError(
                f"{where} holds {len(found)} bundles" + (f" that {wanted!r} may mean." if wanted else "."),
                hint=f"Name one after the place. {there}",
            )
        return found[-1]


def _names(descriptor: Descriptor) -> tuple[str, ...]:
    ref, digest = descriptor.ref, descriptor.digest
    return (ref, ref.rpartition(".")[2], digest, digest.partition(":")[2])


@dataclass(frozen=True)
class Described:
    """What a config says: the release as JSON data, without what only its run was, and the digests of its layers."""

    release: Mapping[str, Any]
    layers: tuple[str, ...]


def ref_of(manifest: Manifest) -> str:
    """Return the name of a release's bundle: `tensorflow.python3.11-x86_64.20261127T010203Z-0123abcd`."""
    return ".".join(filter(None, (manifest.channel, manifest.target or "model", manifest.id)))


def describe(manifest: Manifest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split what a release says into what it is, and what the run was that made it."""
    release: dict[str, Any] = manifest.model_dump(mode="json")
    run: dict[str, Any] = {}
    for section, names in _OF_THE_RUN.items():
        inside = release[section] if section else release
        run |= {f"{section}.{name}".lstrip("."): inside.pop(name) for name in names if name in inside}
    return release, run


def config(release: Mapping[str, Any], layers: Sequence[str]) -> bytes:
    """Write the config of a bundle with these layers' digests."""
    arch = str(release.get("target", "")).rpartition("-")[2]
    document = {
        "architecture": _ARCHITECTURES.get(arch, "unknown"),
        "os": "linux",
        "config": {"Labels": {RELEASE: encode({"bundle": _FORMAT, **release}).decode()}},
        "rootfs": {"type": "layers", "diff_ids": list(layers)},
    }
    return encode(document)


def read_config(text: bytes, *, where: str) -> Described:
    """Read a config; raises ``IntegrityError`` where it does not describe a release that this efsprov can read."""
    try:
        document = json.loads(text)
        release = json.loads(document["config"]["Labels"][RELEASE])
        layers = tuple(document["rootfs"]["diff_ids"])
        form = release.pop("bundle")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"The config of {where} describes no release of efsprov.", hint="It is another image, or damaged."
        ) from error
    if form != _FORMAT:
        raise IntegrityError(
            f"{where} has format {form}, this efsprov reads {_FORMAT}.",
            hint="A newer efsprov made it: upgrade this one.",
        )
    return Described(release, layers)


def image_manifest(config_: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """Write the manifest of a bundle."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_.dump(),
        "layers": [layer.dump() for layer in layers],
    }
    return encode(document)


def read_manifest(text: bytes, *, where: str) -> ImageManifest:
    """Read a bundle's manifest; raises ``IntegrityError`` for what is none, or not one that efsprov makes."""
    found = _parsed(ImageManifest, text, where=where)
    odd = next((d.media_type for d in (found.config, *found.layers) if d.media_type not in {CONFIG, LAYER}), None)
    if odd is not None and re.search(r"\+(gzip|zstd)$|\.gzip$", odd):
        raise IntegrityError(
            f"The layers of {where} were compressed ({odd}): a file in them cannot be asked for.",
            hint="Whoever copied the bundle recompressed it. `skopeo copy --preserve-digests` copies it as it is.",
        )
    if odd is not None:
        raise IntegrityError(f"{where} has a part of the type {odd[:80]}.", hint="It is no bundle of efsprov.")
    return found


def read_index(text: bytes, *, where: str) -> ImageIndex:
    """Read an `index.json`; raises ``IntegrityError``."""
    return _parsed(ImageIndex, text, where=where)


def encode(document: Any) -> bytes:
    """Write JSON the one way: keys in order, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    """Return a blob's digest: `sha256:HEX`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _parsed(kind: type[T], text: bytes, *, where: str) -> T:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise IntegrityError(
            f"{where} is not an OCI {kind.__name__.removeprefix('Image').lower()}: "
            f"{'.'.join(map(str, first['loc']))} {first['msg']}.",
            hint="It is damaged, or something else lies there.",
        ) from error
