"""A function's configuration as the API sees it: what may be in it, how an update changes it, how it is answered.

https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from devtools.lambda_sandbox.rest_json import ServiceError

RUNTIMES = tuple(f"python3.{minor}" for minor in range(9, 15))
DEFAULTS: dict[str, Any] = {
    "Architectures": ["x86_64"],
    "Description": "",
    "EphemeralStorage": {"Size": 512},
    "MemorySize": 128,
    "PackageType": "Zip",
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}
FIELDS = {
    *DEFAULTS, "DeadLetterConfig", "Environment", "FileSystemConfigs", "Handler", "KMSKeyArn", "Layers", "LoggingConfig",
    "Role", "Runtime", "VpcConfig",
}  # fmt: skip
RANGES = {"MemorySize": (128, 10_240), "Timeout": (1, 900)}
MOUNT_PATH = re.compile(r"/mnt/[a-zA-Z0-9_.-]+")
ACCESS_POINT = re.compile(r"arn:aws[a-zA-Z-]*:elasticfilesystem:[a-z0-9-]+:\d{12}:access-point/fsap-[0-9a-f]{17}")
RESERVED = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
}  # fmt: skip

Settings = Mapping[str, Any]


def invalid(message: str) -> ServiceError:
    """The error of a parameter."""
    return ServiceError("InvalidParameterValueException", message)


def updated(settings: Settings, changes: Settings) -> Settings:
    """The settings after an update: what it names is replaced as a whole, what it does not name stays."""
    if unknown := changes.keys() - FIELDS:
        raise invalid(f"this endpoint does not support {', '.join(sorted(unknown))}")
    merged = {**settings, **changes}
    check(merged)
    return merged


def check(settings: Settings) -> None:
    """InvalidParameterValueException for what Lambda would not have."""
    if settings["PackageType"] != "Zip" or settings.get("Runtime") not in RUNTIMES:
        raise invalid(f"Value {settings.get('Runtime')} at 'runtime' failed to satisfy constraint: {list(RUNTIMES)}")
    values = {**settings, "EphemeralStorage": settings["EphemeralStorage"]["Size"]}
    for name, (least, most) in {**RANGES, "EphemeralStorage": (512, 10_240)}.items():
        if not least <= values[name] <= most:
            raise invalid(f"'{name}' value must be between {least} and {most}")
    if len(settings.get("Layers", ())) > 5:
        raise invalid("Cannot reference more than 5 layers.")
    check_variables(settings.get("Environment", {}).get("Variables", {}))
    check_file_systems(settings.get("FileSystemConfigs", []), settings.get("VpcConfig", {}))


def check_variables(variables: Mapping[str, str]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    if taken := RESERVED & variables.keys():
        raise invalid(f"reserved keys that are currently not supported for modification: {', '.join(sorted(taken))}")
    if wrong := [name for name in variables if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]+", name)]:
        raise invalid(f"environment variable names: {wrong}")
    if len(json.dumps(dict(variables), separators=(",", ":"))) > 4096:
        raise invalid("environment variables exceed the 4KB limit")


def check_file_systems(configs: list[dict[str, str]], vpc: Mapping[str, Any]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_FileSystemConfig.html"""
    if len(configs) > 1:
        raise invalid("FileSystemConfigs must have length less than or equal to 1")
    for config in configs:
        if not ACCESS_POINT.fullmatch(config["Arn"]):
            raise invalid(f"not the ARN of an access point: {config['Arn']}")
        if not MOUNT_PATH.fullmatch(config["LocalMountPath"]):
            raise invalid(f"LocalMountPath must satisfy {MOUNT_PATH.pattern}: {config['LocalMountPath']}")
        if not vpc.get("SubnetIds") or not vpc.get("SecurityGroupIds"):
            raise invalid("Function must be configured to execute in a VPC to reference access point")


def answered(settings: Settings, *, vpc_id: str, layer_sizes: Mapping[str, int]) -> dict[str, Any]:
    """As a FunctionConfiguration has them: empty collections are left out, layers and VPC say more than was sent."""
    shown = dict(settings)
    for name in ("Layers", "FileSystemConfigs"):
        if not shown.get(name):
            shown.pop(name, None)
    if not shown.get("Environment", {}).get("Variables"):
        shown.pop("Environment", None)
    if "Layers" in shown:
        shown["Layers"] = [{"Arn": arn, "CodeSize": layer_sizes[arn]} for arn in shown["Layers"]]
    if "VpcConfig" in shown:
        vpc = shown["VpcConfig"]
        shown["VpcConfig"] = {
            "SubnetIds": vpc.get("SubnetIds", []),
            "SecurityGroupIds": vpc.get("SecurityGroupIds", []),
            "VpcId": vpc_id if vpc.get("SubnetIds") else "",
            "Ipv6AllowedForDualStack": vpc.get("Ipv6AllowedForDualStack", False),
        }
    return shown
