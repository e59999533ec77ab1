"""Limits that the service models do not have: from AWS's documentation, one entry each, with its page (read 2026-11-26).

``path`` names a parameter; ``[]`` stands for every member of a list, ``{}`` for every value of a map.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devtools.strict_aws.refusal import Refusal
from devtools.strict_aws.wire import Call

_DOCS = "https://docs.aws.amazon.com/"
_LAMBDA_LIMITS = f"{_DOCS}lambda/latest/dg/gettingstarted-limits.html"
_LAMBDA_VARIABLES = f"{_DOCS}lambda/latest/dg/configuration-envvars.html"
_IAM_LIMITS = f"{_DOCS}IAM/latest/UserGuide/reference_iam-quotas.html"
_EC2_TAGS = f"{_DOCS}AWSEC2/latest/UserGuide/Using_Tags.html"


@dataclass(frozen=True)
class Limit:
    """At most ``most`` of what ``measure`` counts in a parameter of some operations of a service."""

    service: str
    operations: str  # a regular expression
    path: str
    measure: Callable[[Any], int]
    most: int
    what: str
    code: str
    source: str
    status: int = 400


def characters(value: Any) -> int:
    return len(str(value))


def size(value: Any) -> int:
    return len(value if isinstance(value, bytes) else str(value).encode())


def decoded_size(value: Any) -> int:
    """The bytes that a base64 text stands for."""
    text = str(value).strip()
    return len(text) * 3 // 4 - text.count("=", -2)


def without_spaces(value: Any) -> int:
    """IAM does not count white space: the quotas' page."""
    return len(re.sub(r"\s", "", str(value)))


def as_json(value: Mapping[str, str]) -> int:
    return len(json.dumps(dict(value), separators=(",", ":"), ensure_ascii=False).encode())


LIMITS = (
    Limit("ec2", "RunInstances", "UserData", decoded_size, 16_384, "bytes of user data", "InvalidParameterValue",
          f"{_DOCS}AWSEC2/latest/UserGuide/instancedata-add-user-data.html"),
    Limit("ec2", ".*", "TagSpecifications[].Tags", len, 50, "tags of one resource", "TagLimitExceeded", _EC2_TAGS),
    Limit("ec2", "CreateTags", "Tags", len, 50, "tags of one resource", "TagLimitExceeded", _EC2_TAGS),
    Limit("ec2", "ImportKeyPair|CreateKeyPair", "KeyName", characters, 255, "characters of a key pair's name",
          "InvalidParameterValue", f"{_DOCS}AWSEC2/latest/APIReference/API_CreateKeyPair.html"),
    Limit("ec2", "AuthorizeSecurityGroup.*", "IpPermissions", len, 60, "rules of a security group",
          "RulesPerSecurityGroupLimitExceeded", f"{_DOCS}vpc/latest/userguide/amazon-vpc-limits.html"),
    Limit("ec2", "RunInstances", "NetworkInterfaces[].Groups", len, 5, "security groups of a network interface",
          "SecurityGroupsPerInterfaceLimitExceeded", f"{_DOCS}vpc/latest/userguide/amazon-vpc-limits.html"),
    Limit("lambda", "(Create|Update)Function.*", "Environment.Variables", as_json, 4096, "bytes of environment variables",
          "InvalidParameterValueException", _LAMBDA_VARIABLES),
    Limit("lambda", "CreateFunction|UpdateFunctionConfiguration", "Layers", len, 5, "layers",
          "InvalidParameterValueException", _LAMBDA_LIMITS),
    Limit("lambda", "CreateFunction|UpdateFunctionConfiguration", "Timeout", int, 900, "seconds",
          "InvalidParameterValueException", _LAMBDA_LIMITS),
    Limit("lambda", "CreateFunction", "Code.ZipFile", size, 52_428_800, "bytes of a zip in the request",
          "RequestEntityTooLargeException", _LAMBDA_LIMITS, 413),
    Limit("lambda", "UpdateFunctionCode", "ZipFile", size, 52_428_800, "bytes of a zip in the request",
          "RequestEntityTooLargeException", _LAMBDA_LIMITS, 413),
    Limit("lambda", "PublishLayerVersion", "Content.ZipFile", size, 52_428_800, "bytes of a zip in the request",
          "RequestEntityTooLargeException", _LAMBDA_LIMITS, 413),
    Limit("lambda", "CreateFunction|TagResource", "Tags", len, 50, "tags", "InvalidParameterValueException",
          f"{_DOCS}lambda/latest/dg/configuration-tags.html"),
    Limit("efs", "CreateFileSystem|CreateAccessPoint|TagResource", "Tags", len, 50, "tags", "BadRequest",
          f"{_DOCS}efs/latest/ug/limits.html"),
    Limit("efs", "PutFileSystemPolicy", "Policy", characters, 20_000, "characters of a file system's policy",
          "InvalidPolicyException", f"{_DOCS}efs/latest/ug/API_PutFileSystemPolicy.html"),
    Limit("iam", "CreatePolicy|CreatePolicyVersion", "PolicyDocument", without_spaces, 6144,
          "characters of a managed policy", "LimitExceeded", _IAM_LIMITS, 409),
    Limit("iam", "PutRolePolicy", "PolicyDocument", without_spaces, 10_240, "characters of a role's inline policies",
          "LimitExceeded", _IAM_LIMITS, 409),
    Limit("iam", "PutUserPolicy", "PolicyDocument", without_spaces, 2048, "characters of a user's inline policies",
          "LimitExceeded", _IAM_LIMITS, 409),
    Limit("iam", "PutGroupPolicy", "PolicyDocument", without_spaces, 5120, "characters of a group's inline policies",
          "LimitExceeded", _IAM_LIMITS, 409),
    Limit("iam", "CreateRole", "AssumeRolePolicyDocument", without_spaces, 2048, "characters of a trust policy",
          "LimitExceeded", _IAM_LIMITS, 409),
    Limit("s3", "PutBucketPolicy", "Policy", size, 20_480, "bytes of a bucket's policy", "PolicyTooLarge",
          f"{_DOCS}AmazonS3/latest/userguide/bucket-policies.html"),
    Limit("s3", "PutObject|UploadPart", "Body", size, 5_368_709_120, "bytes of one upload", "EntityTooLarge",
          f"{_DOCS}AmazonS3/latest/userguide/qfacts.html"),
    Limit("cloudformation", "CreateStack|UpdateStack|CreateChangeSet|ValidateTemplate", "TemplateBody", size, 51_200,
          "bytes of a template in the request", "ValidationError",
          f"{_DOCS}AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"),
    Limit("cloudformation", "CreateStack|UpdateStack|CreateChangeSet", "Parameters", len, 200, "parameters",
          "ValidationError", f"{_DOCS}AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"),
    Limit("sqs", "SendMessage", "MessageBody", size, 1_048_576, "bytes of a message", "InvalidParameterValue",
          f"{_DOCS}AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"),
    Limit("stepfunctions", "CreateStateMachine|UpdateStateMachine", "definition", size, 1_048_576, "bytes of a definition",
          "InvalidDefinition", f"{_DOCS}step-functions/latest/dg/service-quotas.html"),
    Limit("stepfunctions", "StartExecution", "input", size, 262_144, "bytes of an input", "InvalidExecutionInput",
          f"{_DOCS}step-functions/latest/dg/service-quotas.html"),
    Limit("dynamodb", "PutItem", "Item", lambda item: len(json.dumps(item, default=repr)), 409_600, "bytes of an item",
          "ValidationException", f"{_DOCS}amazondynamodb/latest/developerguide/Constraints.html"),
)  # fmt: skip
INVOKE_SOURCE = _LAMBDA_LIMITS
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
RESERVED_VARIABLES = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
})  # fmt: skip


def check_limits(call: Call) -> Iterator[Refusal]:
    """Yield the limits that a call exceeds."""
    for limit in LIMITS:
        if limit.service == call.service and re.fullmatch(limit.operations, call.operation):
            for where, value in _at(call.parameters, limit.path):
                if (found := limit.measure(value)) > limit.most:
                    message = f"{found:,} {limit.what}, at most {limit.most:,}"
                    yield Refusal(call.action, "limit", where, message, limit.code, limit.source, limit.status)
    for check in (_tag_names, _variables, _payload):
        yield from check(call)


def _tag_names(call: Call) -> Iterator[Refusal]:
    """Nobody but AWS may use the prefix: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html."""
    tags = call.parameters.get("Tags")
    names = tags.keys() if isinstance(tags, dict) else [t.get("Key", "") for t in tags or () if isinstance(t, dict)]
    for name in names:
        if name.lower().startswith("aws:") and not call.operation.startswith(("Untag", "Delete", "Remove")):
            yield Refusal(call.action, "tag", "Tags", f"{name!r} begins with aws:", "InvalidParameterValue", _EC2_TAGS)


def _variables(call: Call) -> Iterator[Refusal]:
    if call.service != "lambda":
        return
    given = (call.parameters.get("Environment") or {}).get("Variables") or {}
    if taken := sorted(RESERVED_VARIABLES & given.keys()):
        message = f"Lambda sets {', '.join(taken)} itself"
        code = "InvalidParameterValueException"
        yield Refusal(call.action, "reserved", "Environment.Variables", message, code, _LAMBDA_VARIABLES)


def _payload(call: Call) -> Iterator[Refusal]:
    if call.action != "lambda:Invoke":
        return
    most = 1_048_576 if call.parameters.get("InvocationType") == "Event" else 6_291_556
    if (found := size(call.parameters.get("Payload") or b"")) > most:
        message, code = f"{found:,} bytes of an event, at most {most:,}", "RequestEntityTooLargeException"
        yield Refusal(call.action, "limit", "Payload", message, code, _LAMBDA_LIMITS, 413)


def _at(value: Any, path: str, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that a path leads to, with where it is."""
    if not path:
        yield where, value
        return
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(value, dict) or value.get(name) is None:
        return
    here = f"{where}.{name}".lstrip(".")
    if head.endswith("[]"):
        for number, item in enumerate(value[name]):
            yield from _at(item, rest, f"{here}[{number}]")
    else:
        yield from _at(value[name], rest, here)
