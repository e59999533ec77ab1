"""Lambda functions: what they are configured to be, changed under their revision, waited for."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from efsprov.aws.errors import code_of, is_young_role
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, ConflictError
from efsprov.net.retry import EVENTUALLY_CONSISTENT, call, wait_for

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_SETTLE_SECONDS: Final = 600.0  # a function's first connection to a VPC takes minutes
_MISSING: Final = "ResourceNotFoundException"
_CHANGED: Final = frozenset({"PreconditionFailedException", "ResourceConflictException"})


@dataclass(frozen=True)
class Mounted:
    """A file system of a function: the access point's ARN, and the path at which the function sees it."""

    access_point: str
    path: str

    @property
    def is_efs(self) -> bool:
        """Whether it is EFS: a function may have an access point of S3 Files instead, whose ARN is another service's.

        https://docs.aws.amazon.com/lambda/latest/api/API_FileSystemConfig.html (2026-11-26)
        """
        return self.access_point.split(":")[2:3] == ["elasticfilesystem"]

    @property
    def access_point_id(self) -> str:
        """The access point's id: the end of its ARN."""
        return self.access_point.rpartition("/")[2]


@dataclass(frozen=True)
class FunctionConfig:
    """A function as it is configured. ``memory`` and ``tmp`` are MB, ``timeout`` seconds, ``layers`` version ARNs.

    ``unreadable`` says why Lambda would not tell the environment variables (a KMS key that may not be used): ``variables`` is
    empty then, and writing it back would lose them. ``runtime`` is "" for a container image. ``revision`` is what a change has to be based on.
    """

    name: str
    arn: str
    revision: str
    package: str
    runtime: str
    arch: str
    role: str
    memory: int
    tmp: int
    timeout: int
    variables: Mapping[str, str]
    layers: tuple[str, ...]
    mounted: tuple[Mounted, ...]
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    vpc: str
    code_sha256: str
    code_size: int
    layer_sizes: tuple[int, ...]
    snap_start: bool
    state: str
    update: str
    reason: str
    unreadable: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way: the function is active or has failed, and so has its last change."""
        return self.state != "Pending" and self.update != "InProgress"


def client(aws: Aws, **config: Any) -> "LambdaClient":
    """Return Lambda's client; ``config`` are botocore's settings that differ from efsprov's."""
    made: LambdaClient = aws.client("lambda", **config)
    return made


def find_function(aws: Aws, name: str) -> FunctionConfig | None:
    """Return a function's configuration by its name or ARN; None where there is no such function."""
    try:
        return get_function(aws, name)
    except AwsError as error:
        if code_of(error) == _MISSING:
            return None
        raise


def get_function(aws: Aws, name: str) -> FunctionConfig:
    """Return a function's configuration by its name or ARN; raises ``AwsError`` where there is no such function."""
    awslambda = client(aws)
    return _read(aws.call(lambda: awslambda.get_function_configuration(FunctionName=name)))


def create_function(aws: Aws, name: str, settings: Mapping[str, Any]) -> None:
    """Create a function; ``settings`` are CreateFunction's other parameters.

    CreateFunction has no client token: the caller looks first, and a name that is taken meanwhile is an ``AwsError``.
    """
    awslambda = client(aws)
    call(
        EVENTUALLY_CONSISTENT,
        lambda: aws.call(lambda: awslambda.create_function(FunctionName=name, **settings)),
        when=is_young_role,
    )


def update_configuration(aws: Aws, before: FunctionConfig, changes: Mapping[str, Any]) -> FunctionConfig:
    """Change what ``changes`` names (UpdateFunctionConfiguration's parameters) and wait until that has taken effect.

    Raises ``ConflictError`` when the function is no longer what ``before`` says, ``AwsError`` when Lambda refuses the
    change or it fails.
    """
    awslambda = client(aws)
    try:
        call(
            EVENTUALLY_CONSISTENT,
            lambda: aws.call(
                lambda: awslambda.update_function_configuration(
                    FunctionName=before.name, RevisionId=before.revision, **changes
                )
            ),
            when=is_young_role,
        )
    except AwsError as error:
        # After a lost reply the second request is refused, for what the first one has begun or the revision it made.
        if code_of(error) not in _CHANGED or not _has(wait_until_settled(aws, before.name), changes):
            raise _conflict(error, before.name) from error
    return wait_until_settled(aws, before.name)


def update_code(aws: Aws, before: FunctionConfig, archive: bytes, arch: str) -> FunctionConfig:
    """Replace a function's package by a zip and wait until that has taken effect; raises as `update_configuration`."""
    wanted = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    awslambda = client(aws, read_timeout=300)  # the package is in the request
    try:
        aws.call(
            lambda: awslambda.update_function_code(
                FunctionName=before.name,
                RevisionId=before.revision,
                Architectures=[arch],  # type: ignore[list-item]
                ZipFile=archive,
            )
        )
    except AwsError as error:
        if code_of(error) not in _CHANGED or wait_until_settled(aws, before.name).code_sha256 != wanted:
            raise _conflict(error, before.name) from error
    return wait_until_settled(aws, before.name)


def wait_until_settled(aws: Aws, name: str, *, seconds: float = _SETTLE_SECONDS) -> FunctionConfig:
    """Wait until a function's creation or last change has taken effect; raises ``AwsError`` when it failed."""

    def probe() -> FunctionConfig | None:
        found = get_function(aws, name)
        return found if found.settled else None

    found = wait_for(probe, seconds=seconds)
    if found is None:
        raise AwsError(
            f"The change of function {name} has not taken effect within {seconds:.0f} s.",
            hint=f"`aws lambda get-function-configuration --function-name {name}` shows how far it is.",
        )
    if "Failed" in (found.state, found.update):
        raise AwsError(
            f"The change of function {name} failed: {found.reason or 'Lambda gives no reason'}.",
            hint="The function goes on with what it was before. Remove the cause and run the command again.",
        )
    return found


def delete_function(aws: Aws, name: str) -> bool:
    """Delete a function; false where there was none."""
    awslambda = client(aws)
    try:
        aws.call(lambda: awslambda.delete_function(FunctionName=name))
    except AwsError as error:
        if code_of(error) != _MISSING:
            raise
        return False
    return True


def read_reserved_concurrency(aws: Aws, name: str) -> int | None:
    """Return how many of a function's environments may work at once, as reserved for it; None where nothing is reserved."""
    awslambda = client(aws)
    return aws.call(lambda: awslambda.get_function_concurrency(FunctionName=name)).get("ReservedConcurrentExecutions")


def read_function_tags(aws: Aws, arn: str) -> dict[str, str]:
    """Return a function's tags."""
    awslambda = client(aws)
    return dict(aws.call(lambda: awslambda.list_tags(Resource=arn)).get("Tags", {}))


def tag_function(aws: Aws, arn: str, tags: Mapping[str, str]) -> None:
    """Set tags of a function; others stay."""
    awslambda = client(aws)
    aws.call(lambda: awslambda.tag_resource(Resource=arn, Tags=tags))


def _conflict(error: AwsError, name: str) -> AwsError | ConflictError:
    if code_of(error) not in _CHANGED:
        return error
    return ConflictError(
        f"Function {name} was changed by somebody else meanwhile. Nothing was changed by this command.",
        hint="Run the command again: it starts from the function as it is now.",
    )


def _has(found: FunctionConfig, changes: Mapping[str, Any]) -> bool:
    """Whether a function is what ``changes`` asks for."""
    response: dict[str, Any] = {
        "Layers": list(found.layers),
        "Environment": {"Variables": dict(found.variables)},
        "FileSystemConfigs": [{"Arn": m.access_point, "LocalMountPath": m.path} for m in found.mounted],
        "VpcConfig": {"SubnetIds": list(found.subnets), "SecurityGroupIds": list(found.groups)},
        "MemorySize": found.memory,
        "Timeout": found.timeout,
        "EphemeralStorage": {"Size": found.tmp},
    }
    return all(response.get(key) == value for key, value in changes.items())


def _read(response: Mapping[str, Any]) -> FunctionConfig:
    vpc = response.get("VpcConfig") or {}
    layers = response.get("Layers", [])
    return FunctionConfig(
        name=response["FunctionName"],
        arn=response["FunctionArn"],
        revision=response.get("RevisionId", ""),
        package=response.get("PackageType", "Zip"),
        runtime=response.get("Runtime", ""),
        arch=(response.get("Architectures") or ["x86_64"])[0],
        role=response.get("Role", ""),
        memory=response.get("MemorySize", 128),
        tmp=response.get("EphemeralStorage", {}).get("Size", 512),
        timeout=response.get("Timeout", 3),
        variables=response.get("Environment", {}).get("Variables", {}),
        layers=tuple(layer["Arn"] for layer in layers),
        mounted=tuple(Mounted(m["Arn"], m["LocalMountPath"]) for m in response.get("FileSystemConfigs", [])),
        subnets=tuple(vpc.get("SubnetIds", [])),
        groups=tuple(vpc.get("SecurityGroupIds", [])),
        vpc=vpc.get("VpcId", ""),
        code_sha256=response.get("CodeSha256", ""),
        code_size=response.get("CodeSize", 0),
        layer_sizes=tuple(layer.get("CodeSize", 0) for layer in layers),
        snap_start=response.get("SnapStart", {}).get("ApplyOn", "None") != "None",
        state=response.get("State", "Active"),
        update=response.get("LastUpdateStatus", "Successful"),
        unreadable=_unreadable(response.get("Environment", {})),
        reason=response.get("LastUpdateStatusReason", "") or response.get("StateReason", ""),
    )


def _unreadable(environment: Mapping[str, Any]) -> str:
    """Return why the variables are not among the answer: EnvironmentError of Lambda's API reference."""
    error = environment.get("Error") or {}
    return f"{error.get('ErrorCode', '')}: {error.get('Message', '')}".strip(": ") if error else ""
