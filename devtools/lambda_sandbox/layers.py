# ruff: noqa: N803 - operations take boto3's own parameter names
"""Layers and their versions."""

import datetime as dt
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.lambda_sandbox.function import ACCOUNT, REGION
from devtools.lambda_sandbox.packages import Package, unpack
from devtools.lambda_sandbox.rest_json import ServiceError
from devtools.lambda_sandbox.uploads import Uploads

KEPT = ("Description", "CompatibleArchitectures", "CompatibleRuntimes", "LicenseInfo")


@dataclass(frozen=True)
class LayerVersion:
    """One version; ``facts`` are the fields that are answered as they came in."""

    arn: str
    package: Package
    facts: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """As in a list."""
        return {"LayerVersionArn": self.arn, "Version": self.version} | self.facts

    def description(self) -> dict[str, Any]:
        """As by itself."""
        content = {
            "Location": self.package.archive.as_uri(),
            "CodeSha256": self.package.sha256,
            "CodeSize": self.package.size,
        }
        return {"Content": content, "LayerArn": self.arn.rpartition(":")[0]} | self.summary()

    @property
    def version(self) -> int:
        """Counted from 1; a deleted one's number is not given again."""
        return int(self.arn.rpartition(":")[2])


class Layers:
    """The account's layers. A deleted version stays with the functions that have it, as in AWS."""

    def __init__(self, folder: Path, uploads: Uploads) -> None:
        self._folder, self._uploads = folder, uploads
        self._lock = threading.Lock()
        self._published: dict[str, int] = {}
        self._versions: dict[str, LayerVersion] = {}

    def find(self, arn: str) -> LayerVersion:
        """For a function's configuration."""
        try:
            return self._versions[arn]
        except KeyError:
            raise ServiceError("InvalidParameterValueException", f"Layer version {arn} does not exist.") from None

    def publish_layer_version(self, *, LayerName: str, Content: dict[str, Any], **facts: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html"""
        if unknown := facts.keys() - set(KEPT):
            raise ServiceError("InvalidParameterValueException", f"not supported: {sorted(unknown)}")
        layer, data = layer_arn(LayerName), self._uploads.read(Content)
        with self._lock:
            number = self._published.get(layer, 0) + 1
            package = unpack(data, self._folder / layer.rpartition(":")[2] / str(number))
            self._published[layer] = number
            created = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
            version = LayerVersion(f"{layer}:{number}", package, {"CreatedDate": created} | facts)
            self._versions[version.arn] = version
        return version.description()

    def get_layer_version(self, *, LayerName: str, VersionNumber: int) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersion.html"""
        return self.get_layer_version_by_arn(Arn=f"{layer_arn(LayerName)}:{VersionNumber}")

    def get_layer_version_by_arn(self, *, Arn: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionByArn.html"""
        if Arn not in self._versions:
            raise ServiceError("ResourceNotFoundException", "The resource you requested does not exist.")
        return self._versions[Arn].description()

    def list_layer_versions(
        self, *, LayerName: str, CompatibleRuntime: str | None = None, CompatibleArchitecture: str | None = None
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListLayerVersions.html: the newest first, in one page."""
        layer = layer_arn(LayerName)
        found = [
            version
            for version in self._versions.values()
            if version.arn.rpartition(":")[0] == layer
            and (CompatibleRuntime is None or CompatibleRuntime in version.facts.get("CompatibleRuntimes", ()))
            and (
                CompatibleArchitecture is None
                or CompatibleArchitecture in version.facts.get("CompatibleArchitectures", ())
            )
        ]
        return {"LayerVersions": [version.summary() for version in sorted(found, key=lambda v: -v.version)]}

    def delete_layer_version(self, *, LayerName: str, VersionNumber: int) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteLayerVersion.html: no error if there is none."""
        self._versions.pop(f"{layer_arn(LayerName)}:{VersionNumber}", None)


def layer_arn(name: str) -> str:
    """Of a layer's name or ARN."""
    return name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}"
