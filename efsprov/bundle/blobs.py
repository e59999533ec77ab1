"""What a place of bundles offers: blobs by their digests, and an index that is replaced only as it was read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from efsprov.bundle import documents
from efsprov.bundle.documents import Described, Descriptor, ImageIndex, ImageManifest
from efsprov.core.errors import BusyError, IntegrityError, NotFoundError

_ATTEMPTS: Final = 20


@dataclass(frozen=True)
class Kept:
    """An index as it was read; ``version`` is the place's own word for this state of it, "" where there is none yet."""

    content: bytes | None
    version: str = ""


class Place(Protocol):
    """Where bundles lie. Every method may be called by many threads; all raise an ``EfsprovError`` for what goes wrong."""

    @property
    def name(self) -> str:
        """How people name it: `oci:FOLDER`, `s3://BUCKET/PREFIX`."""
        ...

    def has(self, digest: str, size: int) -> bool:
        """Tell whether a blob of this digest and size is there."""
        ...

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """Return ``size`` bytes of a blob, fewer only at its end; raises ``NotFoundError`` where it is not there."""
        ...

    def put(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """Bring a blob there under its digest; one that ends early or fails leaves nothing under that name."""
        ...

    def read_index(self) -> Kept:
        """Return the index as it is now."""
        ...

    def replace_index(self, content: bytes, since: Kept) -> bool:
        """Put ``content`` in the index's place, unless it is not ``since`` any more: then False, and nothing changes."""
        ...


@dataclass(frozen=True)
class Bundle:
    """A bundle at a place: its descriptor in the index, and what its documents say, held against their digests."""

    place: Place
    descriptor: Descriptor
    manifest: ImageManifest
    described: Described

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.place.name} {self.descriptor.ref or self.descriptor.digest}"

    @property
    def size(self) -> int:
        """Bytes of all its layers."""
        return sum(layer.size for layer in self.manifest.layers)


def read_index(place: Place) -> ImageIndex:
    """Return the index of a place; raises ``NotFoundError`` where there is none."""
    kept = place.read_index()
    if kept.content is None:
        raise NotFoundError(
            f"There are no bundles at {place.name}.", hint="`efsprov bundle push CHANNEL DEST` puts one there."
        )
    return documents.read_index(kept.content, where=f"The index of {place.name}")


def open_bundle(place: Place, wanted: str = "") -> Bundle:
    """Find a bundle and read its documents; raises ``NotFoundError``, ``UsageError``, ``IntegrityError``."""
    descriptor = read_index(place).find(wanted, where=place.name)
    name = f"{place.name} {descriptor.ref or descriptor.digest}"
    manifest = documents.read_manifest(read_document(place, descriptor, where=name), where=name)
    described = documents.read_config(read_document(place, manifest.config, where=name), where=name)
    if described.layers != tuple(layer.digest for layer in manifest.layers):
        raise IntegrityError(f"The manifest of {name} names other layers than its config.", hint="Push it again.")
    return Bundle(place, descriptor, manifest, described)


def read_document(place: Place, descriptor: Descriptor, *, where: str, most: int = documents.MOST_BYTES) -> bytes:
    """Return a small blob whole, held against its digest; raises ``IntegrityError``."""
    if descriptor.size > most:
        raise IntegrityError(
            f"{where} holds a document of {descriptor.size:,} bytes, more than {most:,}.",
            hint="It is no bundle of efsprov.",
        )
    content = place.read(descriptor.digest, 0, descriptor.size + 1)
    if len(content) != descriptor.size or documents.digest_of(content) != descriptor.digest:
        raise damaged(where, descriptor.digest)
    return content


def change_index(place: Place, change: Callable[[ImageIndex], ImageIndex]) -> None:
    """Change the index of a place, however many others do so at the same time; raises ``BusyError`` when they never end."""
    for _ in range(_ATTEMPTS):
        kept = place.read_index()
        index = ImageIndex() if kept.content is None else documents.read_index(kept.content, where=place.name)
        if place.replace_index(change(index).dump(), kept):
            return
    raise BusyError(
        f"The index of {place.name} was changed by others {_ATTEMPTS} times in a row.",
        hint="All blobs are there: run the command again, it sends the index alone.",
    )


def damaged(where: str, digest: str) -> IntegrityError:
    """Return the error for a blob whose bytes are not those of its digest."""
    return IntegrityError(
        f"{where}: the blob {digest} is damaged, or cut short.",
        hint="Push the release again where it is whole: what is damaged is replaced with `bundle push --all-blobs`.",
    )


def chunks_of(place: Place, digest: str, size: int, length: int = 4 << 20) -> Iterator[bytes]:
    """Yield a blob's bytes in order."""
    for offset in range(0, size, length):
        yield place.read(digest, offset, min(length, size - offset))
