"""Lambda layers: publishing a version, once for the same bytes."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from efsprov.aws.functions import client
from efsprov.aws.session import Aws


@dataclass(frozen=True)
class StoredArchive:
    """An archive that lies in S3, as one of more than 50 MB has to; ``sha256`` in hex."""

    bucket: str
    key: str
    sha256: str


@dataclass(frozen=True)
class LayerVersion:
    """A version of a layer. ``made`` tells whether this call published it, or found the same bytes there."""

    arn: str
    made: bool


def publish_layer(
    aws: Aws,
    name: str,
    archive: bytes | StoredArchive,
    *,
    runtimes: Sequence[str],
    arches: Sequence[str],
    description: str,
) -> LayerVersion:
    """Publish a version of a layer, unless its newest has the same bytes already: so twice is once."""
    newest = newest_layer(aws, name)
    if isinstance(archive, bytes):
        digest, content = hashlib.sha256(archive).digest(), cast("Any", {"ZipFile": archive})
    else:
        digest = bytes.fromhex(archive.sha256)
        content = {"S3Bucket": archive.bucket, "S3Key": archive.key}
    if newest is not None and newest[1] == base64.b64encode(digest).decode():
        return LayerVersion(newest[0], made=False)
    awslambda = client(aws)
    response = aws.call(
        lambda: awslambda.publish_layer_version(
            LayerName=name,
            Description=description,
            Content=content,
            CompatibleRuntimes=list(runtimes),  # type: ignore[arg-type]
            CompatibleArchitectures=list(arches),  # type: ignore[arg-type]
        )
    )
    return LayerVersion(response["LayerVersionArn"], made=True)


def newest_layer(aws: Aws, name: str) -> tuple[str, str] | None:
    """Return ARN and SHA-256 (base64) of a layer's newest version; None where it has none."""
    awslambda = client(aws)
    versions = aws.call(lambda: awslambda.list_layer_versions(LayerName=name)).get("LayerVersions", [])
    if not versions:
        return None
    arn = versions[0]["LayerVersionArn"]
    response = aws.call(lambda: awslambda.get_layer_version_by_arn(Arn=arn))
    return arn, response.get("Content", {}).get("CodeSha256", "")
