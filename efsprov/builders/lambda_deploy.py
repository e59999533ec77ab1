"""Makes the builder function, brings it up to date, and removes it: what would be done as data, then done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from efsprov.aws.errors import code_of
from efsprov.aws.functions import (
    FunctionConfig,
    create_function,
    delete_function,
    find_function,
    read_function_tags,
    update_code,
    update_configuration,
    wait_until_settled,
)
from efsprov.aws.session import Aws
from efsprov.builders.lambda_package import HANDLER, Package
from efsprov.core.errors import AwsError, ConflictError, NotFoundError
from efsprov.core.retry import EVENTUALLY_CONSISTENT, call
from efsprov.core.tags import BUILDER_FUNCTION
from efsprov.core.target import Target

MEMORY: Final = 10_240  # MB, the most that there is: CPU and network grow with it
TMP: Final = 10_240  # MB: the wheels and the installed tree lie there before they are copied
TIMEOUT: Final = 900  # seconds, the longest that there is


@dataclass(frozen=True)
class BuilderSpec:
    """What the builder function is to be. ``access_point`` is an ARN, ``role`` too; ``memory`` and ``tmp`` are MB."""

    name: str
    target: Target
    role: str
    access_point: str
    mount_path: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    memory: int = MEMORY
    tmp: int = TMP
    timeout: int = TIMEOUT
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Deployment:
    """What was done to the function, or would be: and the configuration's parts that change."""

    function: str
    action: Literal["create", "update", "nothing"]
    code: bool
    changes: Mapping[str, Any]


def settings_of(spec: BuilderSpec) -> dict[str, Any]:
    """Return the function's configuration in UpdateFunctionConfiguration's parameters."""
    return {
        "Runtime": spec.target.runtime,
        "Handler": HANDLER,
        "Role": spec.role,
        "MemorySize": spec.memory,
        "EphemeralStorage": {"Size": spec.tmp},
        "Timeout": spec.timeout,
        "Environment": {"Variables": dict(spec.variables)},
        "VpcConfig": {"SubnetIds": list(spec.subnets), "SecurityGroupIds": list(spec.groups)},
        "FileSystemConfigs": [{"Arn": spec.access_point, "LocalMountPath": spec.mount_path}],
    }


def plan_deployment(
    found: FunctionConfig | None, tags: Mapping[str, str], spec: BuilderSpec, package: Package
) -> Deployment:
    """Decide what makes the function what ``spec`` says; raises ``ConflictError`` for one that is somebody's own."""
    wanted = settings_of(spec)
    if found is None:
        return Deployment(spec.name, "create", code=True, changes=wanted)
    if BUILDER_FUNCTION not in tags:
        raise ConflictError(
            f"There is a function {found.name} already, and it is no builder function of efsprov.",
            hint="Name another one with --function.",
        )
    there: dict[str, Any] = {
        "Runtime": found.runtime,
        "Handler": HANDLER,
        "Role": found.role,
        "MemorySize": found.memory,
        "EphemeralStorage": {"Size": found.tmp},
        "Timeout": found.timeout,
        "Environment": {"Variables": dict(found.variables)},
        "VpcConfig": {"SubnetIds": list(found.subnets), "SecurityGroupIds": list(found.groups)},
        "FileSystemConfigs": [{"Arn": m.access_point, "LocalMountPath": m.path} for m in found.mounted],
    }
    changes = {name: value for name, value in wanted.items() if there[name] != value}
    code = found.code_sha256 != package.sha256 or found.arch != spec.target.arch
    return Deployment(spec.name, "update" if changes or code else "nothing", code=code, changes=changes)


def plan_deploy(aws: Aws, spec: BuilderSpec, package: Package) -> tuple[Deployment, FunctionConfig | None]:
    """Look at the function that there is and decide; changes nothing."""
    found = find_function(aws, spec.name)
    tags = read_function_tags(aws, found.arn) if found else {}
    return plan_deployment(found, tags, spec, package), found


def deploy(aws: Aws, spec: BuilderSpec, package: Package) -> Deployment:
    """Make the builder function or bring it up to date, and wait until it runs so; twice is once."""
    plan, found = plan_deploy(aws, spec, package)
    if found is None:
        _create(aws, spec, package)
        wait_until_settled(aws, spec.name)
        return plan
    if not found.settled:
        found = wait_until_settled(aws, spec.name)
    if plan.changes:
        found = update_configuration(aws, found, plan.changes)
    if plan.code:
        update_code(aws, found, package.archive, spec.target.arch)
    return plan


def remove(aws: Aws, name: str) -> None:
    """Delete the builder function; raises ``NotFoundError`` where there is none, ``ConflictError`` for another's."""
    found = find_function(aws, name)
    if found is None:
        raise NotFoundError(f"There is no function {name} in {aws.region}.", hint="--function and --region name it.")
    if BUILDER_FUNCTION not in read_function_tags(aws, found.arn):
        raise ConflictError(
            f"Function {found.name} is no builder function of efsprov: it was not removed.",
            hint="Name the builder function with --function.",
        )
    delete_function(aws, name)


def _create(aws: Aws, spec: BuilderSpec, package: Package) -> None:
    settings = {
        **settings_of(spec),
        "Architectures": [spec.target.arch],
        "Code": {"ZipFile": package.archive},
        "Description": "Builds releases on EFS (efsprov)",
        "Tags": {BUILDER_FUNCTION: "yes"},
    }
    call(
        EVENTUALLY_CONSISTENT,
        lambda: create_function(aws, spec.name, settings),
        when=lambda error: isinstance(error, AwsError) and _role_is_young(error),
    )


def _role_is_young(error: AwsError) -> bool:
    """A role that was just made cannot be assumed for some seconds."""
    return code_of(error) == "InvalidParameterValueException" and "cannot be assumed" in error.message
