"""Makes the builder function, brings it up to date, and removes it: what would be done as data, then done."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from efsprov.aws.errors import code_of
from efsprov.aws.functions import (
    FunctionConfig,
    create_function,
    delete_function,
    find_function,
    read_function_tags,
    tag_function,
    update_code,
    update_configuration,
    wait_until_settled,
)
from efsprov.aws.session import Aws
from efsprov.builders.on_lambda.package import HANDLER, Package
from efsprov.core.errors import AwsError, ConflictError, NotFoundError
from efsprov.core.tags import BUILDER_FUNCTION
from efsprov.core.target import Target

MEMORY: Final = 10_240  # MB, the most that there is: CPU and network grow with it
TMP: Final = 10_240  # MB: the wheels and the installed tree lie there before they are copied
_MOST_MEMORY: Final = re.compile(r"memorySize.{0,200}less than or equal to (\d+)", re.IGNORECASE | re.DOTALL)
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
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def all_tags(self) -> dict[str, str]:
        """The user's tags, and the one that says whose function it is."""
        return {**dict(self.tags), BUILDER_FUNCTION: "yes"}


@dataclass(frozen=True)
class Deployment:
    """What was done to the function, or would be: and the configuration's parts that change; ``tags`` are to be set."""

    function: str
    action: Literal["create", "update", "nothing"]
    code: bool
    changes: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)


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
        return Deployment(spec.name, "create", code=True, changes=wanted, tags=spec.all_tags)
    if BUILDER_FUNCTION not in tags:
        raise ConflictError(
            f"There is a function {found.name} already, and it is not a builder function of efsprov.",
            hint="Name another one with --function.",
        )
    if found.unreadable:
        raise AwsError(
            f"The environment variables of function {found.name} cannot be read ({found.unreadable}).",
            hint="Nothing was changed. Allow kms:Decrypt on the function's key to whoever runs efsprov.",
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
    missing = not spec.all_tags.items() <= tags.items()
    return Deployment(
        spec.name,
        "update" if changes or code or missing else "nothing",
        code=code,
        changes=changes,
        tags=spec.all_tags if missing else {},
    )


def plan_deploy(aws: Aws, spec: BuilderSpec, package: Package) -> tuple[Deployment, FunctionConfig | None]:
    """Look at the function that there is and decide; changes nothing."""
    found = find_function(aws, spec.name)
    tags = read_function_tags(aws, found.arn) if found else {}
    return plan_deployment(found, tags, spec, package), found


def deploy(aws: Aws, spec: BuilderSpec, package: Package) -> Deployment:
    """Make the builder function or bring it up to date, and wait until it runs so; twice is once."""
    plan, found = plan_deploy(aws, spec, package)
    if found is None:
        try:
            _create(aws, spec, package)
        except AwsError as error:
            # CreateFunction has no client token: where a reply was lost, the second request finds what the first has made.
            if code_of(error) != "ResourceConflictException" or plan_deploy(aws, spec, package)[0].action != "nothing":
                raise
        wait_until_settled(aws, spec.name)
        return plan
    if plan.tags:
        tag_function(aws, found.arn, plan.tags)
    if not found.settled:
        found = wait_until_settled(aws, spec.name)
    if plan.changes:
        with _memory_explained(spec):
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
            f"Function {found.name} is not a builder function of efsprov: it was not removed.",
            hint="Name the builder function with --function.",
        )
    delete_function(aws, name)


def _create(aws: Aws, spec: BuilderSpec, package: Package) -> None:
    settings = {
        **settings_of(spec),
        "Architectures": [spec.target.arch],
        "Code": {"ZipFile": package.archive},
        "Description": "Builds releases on EFS (efsprov)",
        "Tags": spec.all_tags,
    }
    with _memory_explained(spec):
        create_function(aws, spec.name, settings)


@contextmanager
def _memory_explained(spec: BuilderSpec) -> Iterator[None]:
    """Say what to do where the account's functions may have less memory than asked for.

    New accounts begin with 3,008 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
    """
    try:
        yield
    except AwsError as error:
        found = _MOST_MEMORY.search(error.message)
        if not found:
            raise
        raise AwsError(
            f"Functions of this account may have {int(found[1]):,} MB of memory at most, and {spec.memory:,} are asked for.",
            hint=f"Deploy with --memory {found[1]}; a build then takes longer. AWS Support raises the limit "
            '(a service limit increase for Lambda, "Function memory").',
        ) from error
