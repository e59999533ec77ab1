"""The resources that a call is checked for, with what the request says of each: one function a service, EC2's by operation.

Where a service has no function here, the reference's forms of ARNs are filled in from the parameters of the same names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from devtools.strict_aws import reference
from devtools.strict_aws.wire import Call
from devtools.strict_aws.world import ACCOUNT, World, request_tags

# The names of parameters for the variables of the reference's ARNs, where they differ.
_PARAMETERS = {
    "RoleNameWithPath": ("RoleName",),
    "PolicyNameWithPath": ("PolicyName",),
    "InstanceProfileNameWithPath": ("InstanceProfileName",),
    "UserNameWithPath": ("UserName",),
    "BucketName": ("Bucket",),
    "ObjectName": ("Key",),
    "KeyName": ("Key",),
    "SecurityGroupId": ("GroupId",),
    "KeyPairName": ("KeyName",),
    "QueueName": ("QueueName",),
    "TopicName": ("Name",),
    "StateMachineName": ("name",),
    "LogGroupName": ("logGroupName", "LogGroupName"),
    "RuleName": ("Rule", "Name"),
    "AlarmName": ("AlarmName",),
    "LayerVersion": ("VersionNumber",),
    "StackName": ("StackName",),
    "GroupName": ("GroupName",),
}
_KINDS = {  # EC2's names of resource types in tag specifications are the reference's
    "RunInstances": ("instance", "volume", "network-interface"),
}


@dataclass(frozen=True)
class Resource:
    """One resource of a request: the reference's type, the ARN, the tags that it gets, and condition keys of its own."""

    kind: str | None
    arn: str
    new_tags: Mapping[str, str] | None = None  # None: the request's
    keys: Mapping[str, str] = field(default_factory=dict)


def resources_of(call: Call, action: str, world: World) -> list[Resource]:
    """The resources that a call's own action is checked for; "*" where the action knows none."""
    own = _OF_SERVICE.get(call.service)
    found = list(own(call, action, world)) if own else []
    return found or list(_filled_in(call, action)) or [Resource(None, "*")]


def arn(call: Call, service: str, resource: str, *, region: str | None = None, account: str = ACCOUNT) -> str:
    """An ARN in the call's partition and region."""
    place = call.region if region is None else region
    return f"arn:{partition(call.region)}:{service}:{place}:{account}:{resource}"


def partition(region: str) -> str:
    """The partition of a region: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html."""
    for start, name in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")):
        if region.startswith(start):
            return name
    return "aws"


def ec2_tags(call: Call) -> dict[str, dict[str, str]]:
    """The tags of a request of EC2's by the type of what gets them."""
    return {
        spec.get("ResourceType", ""): {t.get("Key", ""): t.get("Value", "") for t in spec.get("Tags", ())}
        for spec in call.parameters.get("TagSpecifications", ())
    }


def _filled_in(call: Call, action: str) -> Iterator[Resource]:
    for kind, response in reference.entry(action).get("resources", {}).items():
        form = reference.template(action.partition(":")[0], kind)
        form = form.replace("${Partition}", partition(call.region)).replace("${Region}", call.region)
        form = form.replace("${Account}", ACCOUNT)
        values = {name: _parameter(call, name) for name in re.findall(r"\$\{(\w+)\}", form)}
        for name, value in values.items():
            form = value if value.startswith("arn:") else form.replace(f"${{{name}}}", value.lstrip("/"))
        if all(values.values()):
            yield Resource(kind, form)
        elif response.get("required"):
            raise NotImplementedError(f"which {kind} {call.action} is for is not known here: {dict(call.parameters)}")


def _parameter(call: Call, name: str) -> str:
    for each in (name, *_PARAMETERS.get(name, ()), f"{name[:1].lower()}{name[1:]}"):
        if (value := call.parameters.get(each)) is not None:
            return str(value)
    return ""


def _ec2(call: Call, action: str, world: World) -> Iterator[Resource]:
    given, tags = call.parameters, ec2_tags(call)

    def new(kind: str, name: str = "*", **keys: str) -> Resource:
        return Resource(kind, arn(call, "ec2", f"{kind}/{name}"), tags.get(kind, {}), keys)

    def there(kind: str, name: str) -> Resource:
        return Resource(kind, arn(call, "ec2", f"{kind}/{name}"), {})

    match call.operation:
        case "RunInstances":
            yield from _launch(call, new, there)
        case "CreateSecurityGroup":
            yield new("security-group")
            if vpc := given.get("VpcId"):
                yield there("vpc", vpc)
        case "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress":
            yield there("security-group", given["GroupId"])
            if tags:
                yield new("security-group-rule")
        case "ImportKeyPair" | "CreateKeyPair":
            yield new("key-pair", given["KeyName"])
        case "DeleteKeyPair":
            yield there("key-pair", given.get("KeyName") or "*")
        case "TerminateInstances" | "StopInstances" | "StartInstances":
            yield from (there("instance", each) for each in given["InstanceIds"])
        case "CreateTags" | "DeleteTags":
            yield from (
                Resource(_kind_of(each), arn(call, "ec2", f"{_kind_of(each)}/{_name_of(each, world, call)}"))
                for each in given["Resources"]
            )


def _kind_of(identifier: str) -> str:
    kinds = {"i": "instance", "sg": "security-group", "key": "key-pair", "vol": "volume", "eni": "network-interface"}
    kinds |= {"subnet": "subnet", "vpc": "vpc", "rtb": "route-table", "igw": "internet-gateway", "nat": "natgateway"}
    return kinds[identifier.partition("-")[0]]


def _name_of(identifier: str, world: World, call: Call) -> str:
    """A key pair's ARN has its name: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html."""
    return world.key_name(identifier, call.region) if identifier.startswith("key-") else identifier


def _launch(call: Call, new: Callable[..., Resource], there: Callable[[str, str], Resource]) -> Iterator[Resource]:
    given = call.parameters
    metadata = given.get("MetadataOptions", {})
    profile = given.get("IamInstanceProfile", {})
    keys = {
        "ec2:InstanceType": given.get("InstanceType", ""),
        "ec2:MetadataHttpTokens": metadata.get("HttpTokens", ""),
        "ec2:MetadataHttpPutResponseHopLimit": str(metadata.get("HttpPutResponseHopLimit", "")),
        "ec2:MetadataHttpEndpoint": metadata.get("HttpEndpoint", ""),
        "ec2:InstanceProfile": profile.get("Arn") or profile.get("Name", ""),
        "ec2:InstanceMarketType": given.get("InstanceMarketOptions", {}).get("MarketType", "on-demand"),
        "ec2:RootDeviceType": "ebs",
    }
    yield new("instance", **{name: value for name, value in keys.items() if value})
    for mapping in given.get("BlockDeviceMappings", ()):
        ebs = mapping.get("Ebs", {})
        keys = {
            "ec2:Encrypted": str(ebs.get("Encrypted", False)).lower(),
            "ec2:VolumeType": ebs.get("VolumeType", "gp2"),
        }
        yield new("volume", **keys, **({"ec2:VolumeSize": str(ebs["VolumeSize"])} if "VolumeSize" in ebs else {}))
    interfaces = given.get("NetworkInterfaces") or [given]
    for interface in interfaces:
        public = interface.get("AssociatePublicIpAddress")
        yield new(
            "network-interface", **({} if public is None else {"ec2:AssociatePublicIpAddress": str(public).lower()})
        )
        if subnet := interface.get("SubnetId"):
            yield there("subnet", subnet)
        for group in interface.get("Groups") or interface.get("SecurityGroupIds") or ():
            yield there("security-group", group)
    yield Resource("image", arn(call, "ec2", f"image/{given['ImageId']}", account=""), {})
    if key := given.get("KeyName"):
        yield there("key-pair", key)
    if "InstanceMarketOptions" in given and "spot-instances-request" in ec2_tags(call):
        yield new("spot-instances-request")


def _efs(call: Call, action: str, world: World) -> Iterator[Resource]:
    given = call.parameters

    def file_system(name: str) -> Resource:
        return Resource("file-system", arn(call, "elasticfilesystem", f"file-system/{name.rpartition('/')[2]}"))

    if target := given.get("MountTargetId"):
        yield file_system(world.file_system_of_target(target, call.region) or "*")
    elif point := given.get("AccessPointId"):
        yield Resource("access-point", arn(call, "elasticfilesystem", f"access-point/{point.rpartition('/')[2]}"))
    elif name := given.get("FileSystemId"):
        yield file_system(name)
    elif name := given.get("ResourceId"):
        kind = "access-point" if "fsap-" in name else "file-system"
        yield Resource(kind, arn(call, "elasticfilesystem", f"{kind}/{name.rpartition('/')[2]}"))


def _lambda(call: Call, action: str, world: World) -> Iterator[Resource]:
    given = call.parameters
    if name := given.get("FunctionName"):
        plain = name if ":" not in name else name.partition(":function:")[2] or name
        # A version or an alias is a resource of its own, however it is named
        # (https://docs.aws.amazon.com/lambda/latest/dg/security_iam_service-with-iam.html, 2026-11-26).
        plain, _, end = plain.partition(":")
        qualifier = str(given.get("Qualifier") or end).removeprefix("$LATEST")
        yield Resource("function", arn(call, "lambda", f"function:{plain}{qualifier and f':{qualifier}'}"))
    elif (whole := given.get("Resource") or given.get("Arn")) and "function" in str(whole):
        yield Resource("function", str(whole))
    elif whole := given.get("Arn"):
        yield Resource("layerVersion", str(whole))


def _ssm(call: Call, action: str, world: World) -> Iterator[Resource]:
    if action in {"ssm:GetParameter", "ssm:GetParametersByPath", "ssm:PutParameter", "ssm:DeleteParameter"}:
        name = call.parameters.get("Name") or call.parameters.get("Path") or ""
        account = "" if name.startswith("/aws/service/") else ACCOUNT  # AWS's own have no account
        yield Resource("parameter", arn(call, "ssm", f"parameter/{name.lstrip('/')}", account=account))


def _iam(call: Call, action: str, world: World) -> Iterator[Resource]:
    if whole := call.parameters.get("PolicySourceArn") or call.parameters.get("PolicyArn"):
        yield Resource("role" if ":role/" in whole else "policy", whole)
    elif role := call.parameters.get("RoleName"):
        yield Resource("role", arn(call, "iam", f"role/{role}", region=""))


def _s3(call: Call, action: str, world: World) -> Iterator[Resource]:
    given = call.parameters
    if bucket := given.get("Bucket"):
        of_object = "object" in reference.entry(action).get("resources", {}) and "Key" in given
        path = f"{bucket}/{given['Key']}" if of_object else bucket
        keys = {"s3:prefix": given["Prefix"]} if "Prefix" in given else {}
        yield Resource("object" if of_object else "bucket", f"arn:{partition(call.region)}:s3:::{path}", None, keys)


def _sqs(call: Call, action: str, world: World) -> Iterator[Resource]:
    if url := call.parameters.get("QueueUrl"):
        yield Resource("queue", arn(call, "sqs", url.rpartition("/")[2]))


_OF_SERVICE: Mapping[str, Callable[[Call, str, World], Iterator[Resource]]] = {
    "ec2": _ec2,
    "efs": _efs,
    "lambda": _lambda,
    "ssm": _ssm,
    "iam": _iam,
    "s3": _s3,
    "sqs": _sqs,
}


def new_tags(call: Call, resource: Resource) -> Mapping[str, str]:
    """The tags that a request puts on one of its resources."""
    return request_tags(call) if resource.new_tags is None else resource.new_tags


def listed(value: Any) -> list[Any]:
    """A list, of nothing for None."""
    return list(value or ())
