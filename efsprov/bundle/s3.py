"""A prefix of an S3 bucket as a place of bundles: the objects are named as the files of an OCI image layout are."""

from collections.abc import Iterable
from dataclasses import dataclass

from efsprov.aws.object_store import ObjectStore
from efsprov.bundle.blobs import Kept
from efsprov.bundle.documents import LAYOUT, MOST_BYTES
from efsprov.core.errors import IntegrityError, NotFoundError


@dataclass(frozen=True)
class S3Place:
    """The layout below the prefix of ``store``. See ``Place``."""

    store: ObjectStore

    @property
    def name(self) -> str:
        """See ``Place``."""
        return self.store.uri

    def has(self, digest: str, size: int) -> bool:
        """See ``Place``."""
        return self.store.size(_blob(digest)) == size

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """See ``Place``."""
        found = self.store.read(_blob(digest), offset, size)
        if found is None:
            raise NotFoundError(
                f"{self.name} has no blob {digest}.", hint="The bundle is not whole: push the release again."
            )
        return found

    def put(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """See ``Place``. Whoever gives the chunks holds them against the digest, and raises before the last is given."""
        del size
        self.store.upload(_blob(digest), chunks)

    def read_index(self) -> Kept:
        """See ``Place``."""
        found = self.store.read_whole("index.json", MOST_BYTES)
        if found is None:
            return Kept(None)
        if len(found[0]) > MOST_BYTES:
            raise IntegrityError(
                f"{self.name}/index.json is larger than an index can be.", hint="Something else lies there."
            )
        return Kept(*found)

    def replace_index(self, content: bytes, since: Kept) -> bool:
        """See ``Place``."""
        if since.content is None:
            self.store.put_if("oci-layout", LAYOUT, "")  # it is always the same: whoever came first is right
        return self.store.put_if("index.json", content, since.version)


def _blob(digest: str) -> str:
    kind, _, name = digest.partition(":")
    return f"blobs/{kind}/{name}"
