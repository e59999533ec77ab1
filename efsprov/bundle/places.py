"""From what people type to a place of bundles: `oci:FOLDER` or `s3://BUCKET/PREFIX`."""

from collections.abc import Callable
from pathlib import Path

from efsprov.aws.object_store import BUCKET, ObjectStore
from efsprov.aws.session import Aws
from efsprov.bundle.blobs import Place
from efsprov.bundle.folder import FolderPlace
from efsprov.bundle.s3 import S3Place
from efsprov.core.errors import UsageError


def parse_place(text: str, aws: Callable[[], Aws]) -> Place:
    """Return the place that ``text`` names; ``aws`` opens a session where one is needed. Raises ``UsageError``."""
    scheme, _, rest = text.partition(":")
    if scheme == "oci" and rest:
        return FolderPlace(Path(rest))
    if scheme == "s3":
        bucket, _, prefix = rest.removeprefix("//").partition("/")
        if not rest.startswith("//") or not BUCKET.fullmatch(bucket):
            raise UsageError(f"{text!r} is not a prefix of S3.", hint="It reads s3://BUCKET/PREFIX.")
        return S3Place(ObjectStore(aws(), bucket, prefix.strip("/")))
    if scheme == "docker":
        raise UsageError(
            f"efsprov does not speak to registries itself, so {text} cannot be used.",
            hint="Push to oci:FOLDER, then `skopeo copy --preserve-digests oci:FOLDER:NAME docker://REGISTRY/REPOSITORY:TAG`.",
        )
    raise UsageError(
        f"{text!r} is not a place of bundles.", hint="It reads oci:FOLDER (an OCI image layout) or s3://BUCKET/PREFIX."
    )
