"""What the service authorization reference says of actions (data/actions.json), and what the models' texts say besides.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.model import OperationModel

from devtools.strict_aws.patterns import plain

_FILE = Path(__file__).parent / "data" / "actions.json"
# The prefixes of actions where they differ from botocore's names.
PREFIXES = {
    "efs": "elasticfilesystem",
    "stepfunctions": "states",
    "service-quotas": "servicequotas",
    "apigatewayv2": "apigateway",
}
FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})  # need no permission: the operations' own pages
# Keys that every request has: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = frozenset({"aws:RequestedRegion", "aws:SecureTransport", "aws:PrincipalArn", "aws:PrincipalAccount"})
_ALLOWED_BY = re.compile(
    r"(?:requires permission for the|must have permission to perform the|(?:must|need to) have (?:the )?"
    r"(?:permissions? (?:for|to) (?:use )?the )?)\s*([a-z0-9]+:[A-Z]\w+)"
)
_FOLLOWING = re.compile(r"permissions for the following actions?: (.*)$")
_ACTION = re.compile(r"\b([a-z][a-z0-9-]+:[A-Z]\w+)\b")
# The reference's page for Amazon S3 and AWS Lambda, "actions table": operations without an action of their own name.
NAMED_OTHERWISE = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
    "dynamodb:TransactWriteItems": "dynamodb:PutItem",
    "dynamodb:TransactGetItems": "dynamodb:GetItem",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


@functools.cache
def reference() -> Mapping[str, Any]:
    """The services of the reference, by the prefix of their actions."""
    services: Mapping[str, Any] = json.loads(_FILE.read_text())["services"]
    return services


def action_of(service: str, operation: str) -> str:
    """The action that allows an operation: "efs", "CreateFileSystem" give "elasticfilesystem:CreateFileSystem"."""
    plain_name = f"{PREFIXES.get(service, service)}:{operation}"
    return NAMED_OTHERWISE.get(plain_name, plain_name)


def entry(action: str) -> Mapping[str, Any]:
    """What the reference says of an action; KeyError for one that does not exist."""
    service, _, name = action.partition(":")
    found: Mapping[str, Any] = reference()[service]["actions"][name]
    return found


def exists(action: str) -> bool:
    """Whether there is such an action."""
    service, _, name = action.partition(":")
    return name in reference().get(service, {"actions": {}})["actions"]


def template(service: str, kind: str) -> str:
    """The form of a resource type's ARNs."""
    types = reference()[service]["types"]
    found: str = types.get(kind.lower(), types.get(kind))["arn"]
    return found


def keys_of(action: str, kind: str | None) -> frozenset[str]:
    """The condition keys that a request for an action has for a resource of a type, beside the global ones.

    EC2's table names the keys of each resource of each action; the others name a resource's own keys once, at its type.
    """
    response, service = entry(action), action.partition(":")[0]
    keys = set(response.get("keys", ()))
    if kind is not None:
        keys |= set(response.get("resources", {}).get(kind, {}).get("keys", ()))
        if service != "ec2":
            types = reference()[service]["types"]
            keys |= set(types.get(kind.lower(), {}).get("keys", ()))
    return frozenset(keys)


@functools.cache
def dependents(service: str, operation: str, documentation: str) -> tuple[str, ...]:
    """The other services' actions that an operation's own text asks of the caller.

    EFS: "This operation requires permissions for the following actions: ...".
    """
    found = _FOLLOWING.search(plain(documentation))
    prefix = PREFIXES.get(service, service)
    return tuple(a for a in _ACTION.findall(found[1]) if not a.startswith(f"{prefix}:") and exists(a)) if found else ()


def dependents_of(service: str, model: OperationModel) -> tuple[str, ...]:
    """The same of an operation's model."""
    return dependents(service, model.name, model.documentation)
