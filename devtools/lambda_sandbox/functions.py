# ruff: noqa: N803 - operations take boto3's own parameter names
"""Functions with their configuration, code and tags; what changes them, under which guard, and when it takes effect."""

import datetime as dt
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.lambda_sandbox.function import ACCOUNT, REGION
from devtools.lambda_sandbox.layers import Layers, LayerVersion
from devtools.lambda_sandbox.packages import Package, check_size, unpack
from devtools.lambda_sandbox.rest_json import ServiceError
from devtools.lambda_sandbox.settings import DEFAULTS, Settings, answered, invalid, updated
from devtools.lambda_sandbox.uploads import Uploads

NAME = re.compile(r"(?:(?:arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:)?\d{12}:function:)?([a-zA-Z0-9_-]+)(?::(.+))?")

VpcId = str | Callable[[Sequence[str]], str]
"""The VPC of all functions, or what tells it from a function's subnets."""


@dataclass(frozen=True)
class Deployment:
    """What an environment is made from."""

    settings: Settings
    package: Package
    layers: tuple[LayerVersion, ...]


@dataclass
class Record:
    """A function. Events go to ``serving`` until the last change, which is in ``latest``, is settled."""

    arn: str
    latest: Deployment
    serving: Deployment | None = None
    revision: str = ""
    modified: str = ""
    in_progress: bool = True
    failed: tuple[str, str] | None = None
    reads_until_settled: int = 0
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Without the rest of the ARN."""
        return self.arn.rpartition(":")[2]

    def revise(self) -> None:
        """A new revision id."""
        self.revision = str(uuid.uuid4())

    def settle(self) -> None:
        """The last change takes effect. The revision id changes once more, as it does in AWS (aws/aws-sdk#377)."""
        self.in_progress = False
        if not self.failed:
            self.serving = self.latest
        self.revise()

    def states(self) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""
        if self.serving is None:
            return {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"}
        if self.in_progress:
            return {"State": "Active", "LastUpdateStatus": "InProgress"}
        if self.failed:
            reason = {"LastUpdateStatusReasonCode": self.failed[0], "LastUpdateStatusReason": self.failed[1]}
            return {"State": "Active", "LastUpdateStatus": "Failed"} | reason
        return {"State": "Active", "LastUpdateStatus": "Successful"}


class Functions:
    """The account's functions.

    A change is in progress for ``reads`` more readings of the function (so 0: the next one finds it done); until then
    other changes are refused. ``fail_next_update`` lets the next one come to nothing.
    """

    def __init__(self, folder: Path, layers: Layers, uploads: Uploads, *, vpc_id: VpcId, reads: int) -> None:
        self._folder, self._layers, self._uploads = folder, layers, uploads
        self.vpc_id, self._reads = vpc_id, reads
        self._lock = threading.RLock()
        self._records: dict[str, Record] = {}
        self._packages = 0
        self._failing: tuple[str, str] | None = None
        self._published: dict[str, list[dict[str, Any]]] = {}  # by the function's ARN

    def fail_next_update(self, code: str, reason: str) -> None:
        """As if a network interface could not be made: ``LastUpdateStatusReasonCode`` and its sentence."""
        self._failing = code, reason

    def serving(self, name: str) -> tuple[Record, Deployment]:
        """The record and what answers its events now; ServiceError while it is not ready."""
        with self._lock:
            record = self._find(name)
            if record.serving is None:
                raise pending()
            return record, record.serving

    def create_function(
        self, *, FunctionName: str, Code: dict[str, Any], Tags: dict[str, str] | None = None, **settings: Any
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
        refuse_publish(settings)
        with self._lock:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{parse_name(FunctionName)}"
            if arn in self._records:
                raise ServiceError("ResourceConflictException", f"Function already exist: {FunctionName}")
            deployment = self._deployment(updated(DEFAULTS, settings), self._unpack(Code))
            record = Record(arn, deployment, tags=Tags or {})
            self._records[arn] = record
            self._begin(record)
            return self._configuration(record)

    def update_function_code(
        self,
        *,
        FunctionName: str,
        RevisionId: str | None = None,
        Architectures: list[str] | None = None,
        DryRun: bool = False,
        **source: Any,
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html"""
        refuse_publish(source)
        with self._lock:
            record = self._changeable(FunctionName, RevisionId)
            changes = {"Architectures": Architectures} if Architectures else {}
            settings = updated(record.latest.settings, changes)
            deployment = self._deployment(settings, self._unpack(source))
            if not DryRun:
                self._change(record, deployment)
            return self._configuration(record)

    def update_function_configuration(
        self, *, FunctionName: str, RevisionId: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html"""
        with self._lock:
            record = self._changeable(FunctionName, RevisionId)
            settings = updated(record.latest.settings, changes)
            self._change(record, self._deployment(settings, record.latest.package))
            return self._configuration(record)

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html"""
        name, number = split_version(FunctionName)
        qualifier = number or Qualifier
        with self._lock:
            for version in self._published.get(self._find(name).arn, ()):
                if version["Version"] == qualifier:
                    return version
            record = self._find(name, qualifier)
            self._read(record)
            return self._configuration(record)

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConcurrency.html: nothing is reserved here."""
        self._find(FunctionName)
        return {}

    def publish(self, name: str, sha256: str | None) -> dict[str, Any]:
        """Keep what a function is as a version; the last one where nothing has changed since."""
        with self._lock:
            record = self._changeable(name, None)
            if sha256 not in {None, record.latest.package.sha256}:
                raise ServiceError("InvalidParameterValueException", "CodeSHA256 does not match the function's code")
            versions = self._published.setdefault(record.arn, [])
            now = self._configuration(record)
            if not versions or versions[-1]["RevisionId"] != now["RevisionId"]:
                number = str(len(versions) + 1)
                versions.append(now | {"Version": number, "FunctionArn": f"{record.arn}:{number}"})
            return versions[-1]

    def get_function(self, *, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html"""
        with self._lock:
            configuration = self.get_function_configuration(FunctionName=FunctionName, Qualifier=Qualifier)
            record = self._find(FunctionName)
            code = {"RepositoryType": "S3", "Location": record.latest.package.archive.as_uri()}
            return {"Configuration": configuration, "Code": code} | ({"Tags": record.tags} if record.tags else {})

    def list_functions(self) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html: in one page, without their states."""
        with self._lock:
            return {"Functions": [self._configuration(record, states=False) for record in self._records.values()]}

    def delete_function(self, *, FunctionName: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html"""
        with self._lock:
            del self._records[self._find(FunctionName).arn]
            return {"StatusCode": 204}

    def tag_resource(self, *, Resource: str, Tags: dict[str, str]) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_TagResource.html"""
        self._find(Resource).tags.update(Tags)

    def untag_resource(self, *, Resource: str, TagKeys: list[str]) -> None:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UntagResource.html"""
        tags = self._find(Resource).tags
        for key in TagKeys:
            tags.pop(key, None)

    def list_tags(self, *, Resource: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListTags.html"""
        return {"Tags": dict(self._find(Resource).tags)}

    def _find(self, name: str, qualifier: str = "$LATEST") -> Record:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{parse_name(name)}"
        if arn not in self._records or qualifier != "$LATEST":
            raise ServiceError("ResourceNotFoundException", f"Function not found: {arn}:{qualifier}")
        return self._records[arn]

    def _changeable(self, name: str, revision: str | None) -> Record:
        record = self._find(name)
        if record.serving is None:
            raise pending()
        if record.in_progress:
            message = (
                f"The operation cannot be performed at this time. An update is in progress for resource: {record.arn}"
            )
            raise ServiceError("ResourceConflictException", message)
        if revision not in {None, record.revision}:
            message = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
            raise ServiceError("PreconditionFailedException", message)
        return record

    def _change(self, record: Record, deployment: Deployment) -> None:
        record.failed, self._failing = self._failing, None
        if not record.failed:
            record.latest = deployment
        self._begin(record)

    def _begin(self, record: Record) -> None:
        record.in_progress, record.reads_until_settled = True, self._reads
        record.modified = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        record.revise()

    def _read(self, record: Record) -> None:
        if record.in_progress:
            record.reads_until_settled -= 1
            if record.reads_until_settled < 0:
                record.settle()

    def _unpack(self, source: Mapping[str, Any]) -> Package:
        self._packages += 1
        return unpack(self._uploads.read(source), self._folder / str(self._packages))

    def _deployment(self, settings: Settings, package: Package) -> Deployment:
        layers = tuple(map(self._layers.find, settings.get("Layers", ())))
        check_size(package.unpacked_size + sum(layer.package.unpacked_size for layer in layers))
        return Deployment(settings, package, layers)

    def _configuration(self, record: Record, *, states: bool = True) -> dict[str, Any]:
        latest = record.latest
        sizes = {layer.arn: layer.package.size for layer in latest.layers}
        subnets = tuple((latest.settings.get("VpcConfig") or {}).get("SubnetIds", ()))
        vpc_id = self.vpc_id if isinstance(self.vpc_id, str) else self.vpc_id(subnets) if subnets else ""
        return answered(latest.settings, vpc_id=vpc_id, layer_sizes=sizes) | {
            "FunctionName": record.name,
            "FunctionArn": record.arn,
            "CodeSha256": latest.package.sha256,
            "CodeSize": latest.package.size,
            "LastModified": record.modified,
            "RevisionId": record.revision,
            "Version": "$LATEST",
            **(record.states() if states else {}),
        }


def pending() -> ServiceError:
    """For what cannot be done before the function has come into being."""
    message = (
        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    )
    return ServiceError("ResourceConflictException", message)


def parse_name(name: str) -> str:
    """The plain name in a name, partial ARN or ARN; only ``$LATEST`` may qualify it."""
    found = NAME.fullmatch(name)
    if not found:
        raise ServiceError("InvalidParameterValueException", f"not a function's name: {name}")
    if found[2] not in {None, "$LATEST"}:
        raise ServiceError("ResourceNotFoundException", f"Function not found: {name}")
    return found[1]


def split_version(name: str) -> tuple[str, str]:
    """A function's name, and the number of a version at its end; "" where there is none."""
    found = NAME.fullmatch(name)
    number = (found[2] or "") if found else ""
    return (name.removesuffix(f":{number}"), number) if number.isdecimal() else (name, "")


def refuse_publish(parameters: dict[str, Any]) -> None:
    """Versions are not kept here."""
    if parameters.pop("Publish", False):
        raise invalid("this endpoint publishes no versions")
