"""The questions that AWS asks IAM for a call: its own action for each resource, and what it takes besides.

Besides: tagging at birth (ec2:CreateTags, lambda:TagResource), the role that is handed out (iam:PassRole), what Lambda looks
at with the caller's permissions, and what an operation's own text asks for.
"""

from collections.abc import Iterator, Mapping, Sequence

from devtools.strict_aws import reference
from devtools.strict_aws.policies import Check
from devtools.strict_aws.resources import Resource, arn, ec2_tags, listed, new_tags, resources_of
from devtools.strict_aws.wire import Call
from devtools.strict_aws.world import ACCOUNT, World, request_tags

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html: "your user or role needs"
VPC_READS = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")


def checks_of(call: Call, world: World, principal: str) -> Iterator[Check]:
    """Yield the checks of a call in the order in which AWS makes them: all have to be allowed."""
    action = reference.action_of(call.service, call.operation)
    if f"{call.service}:{call.operation}" in reference.FREE:
        return
    if action == "s3:GetObject" and call.parameters.get("VersionId"):
        action = "s3:GetObjectVersion"
    for resource in resources_of(call, action, world):
        yield _check(call, action, resource, world, principal)
    for dependent in reference.dependents_of(call.service, call.model):
        yield _check(call, dependent, Resource(None, "*"), world, principal)
    for dependent, resource in (*_tagging(call), *_handed_out(call, world), *_of_lambda(call, world)):
        yield _check(call, dependent, resource, world, principal)


def _check(call: Call, action: str, resource: Resource, world: World, principal: str) -> Check:
    known = reference.keys_of(action, resource.kind)
    values: dict[str, Sequence[str]] = {
        "aws:RequestedRegion": [call.region],
        "aws:SecureTransport": ["true"],
        "aws:PrincipalArn": [principal],
        "aws:PrincipalAccount": [ACCOUNT],
        "ec2:Region": [call.region],
        **{name: [value] for name, value in resource.keys.items()},
    }
    tags = new_tags(call, resource)
    if tags and "aws:RequestTag/${TagKey}" in known:
        values |= {f"aws:RequestTag/{name}": [value] for name, value in tags.items()}
    if tags and "aws:TagKeys" in known:
        values["aws:TagKeys"] = list(tags)
    prefixes = [key.removesuffix("${TagKey}") for key in known if "esourceTag/" in key]
    if prefixes and resource.arn != "*" and not resource.arn.endswith("/*"):
        for name, value in world.tags(resource.arn).items():
            values |= {f"{prefix}{name}": [value] for prefix in prefixes}
    allowed = known | reference.GLOBAL_KEYS
    kept = {
        name: value
        for name, value in values.items()
        if name in allowed or name.partition("/")[0] + "/${TagKey}" in allowed
    }
    return Check(action, resource.arn, kept)


def _tagging(call: Call) -> Iterator[tuple[str, Resource]]:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html."""
    if call.service == "ec2" and call.operation != "CreateTags":
        for kind, tags in ec2_tags(call).items():
            name = call.parameters.get("KeyName", "*") if kind == "key-pair" else "*"
            resource = arn(call, "ec2", f"{kind}/{name}")
            yield "ec2:CreateTags", Resource(kind, resource, tags, {"ec2:CreateAction": call.operation})
    if call.action == "lambda:CreateFunction" and (tags := request_tags(call)):
        function = arn(call, "lambda", f"function:{call.parameters['FunctionName']}")
        yield "lambda:TagResource", Resource("function", function, tags)
    if call.operation in {"CreateFileSystem", "CreateAccessPoint"} and request_tags(call):
        kind = "file-system" if call.operation == "CreateFileSystem" else "access-point"
        keys = {"elasticfilesystem:CreateAction": call.operation}
        yield "elasticfilesystem:TagResource", Resource(kind, arn(call, "elasticfilesystem", f"{kind}/*"), None, keys)
    if call.action in {"iam:CreateRole", "iam:CreatePolicy", "iam:CreateInstanceProfile"} and request_tags(call):
        kind = call.operation.removeprefix("Create")
        name = call.parameters.get(f"{kind}Name", "*")
        types = {"Role": "role", "Policy": "policy", "InstanceProfile": "instance-profile"}
        yield f"iam:Tag{kind}", Resource(types[kind], arn(call, "iam", f"{types[kind]}/{name}", region=""))


def _handed_out(call: Call, world: World) -> Iterator[tuple[str, Resource]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html."""
    given: Mapping[str, object] = call.parameters
    role, service = "", ""
    if call.action == "ec2:RunInstances" and (profile := call.parameters.get("IamInstanceProfile")):
        role, service = world.role_of_profile(profile.get("Arn") or profile.get("Name")), "ec2.amazonaws.com"
        role = role or arn(call, "iam", "role/*", region="")
    elif call.service == "lambda" and "Role" in given:
        role, service = str(given["Role"]), "lambda.amazonaws.com"
    elif call.service == "stepfunctions" and "roleArn" in given:
        role, service = str(given["roleArn"]), "states.amazonaws.com"
    elif call.action == "scheduler:CreateSchedule":
        role, service = str(call.parameters.get("Target", {}).get("RoleArn", "")), "scheduler.amazonaws.com"
    if role:
        yield "iam:PassRole", Resource("role", role, {}, {"iam:PassedToService": service})


def _of_lambda(call: Call, world: World) -> Iterator[tuple[str, Resource]]:
    """What Lambda looks at with the caller's permissions when a function is made or changed.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-filesystem.html, configuration-vpc.html, and for layers
    https://docs.aws.amazon.com/lambda/latest/dg/access-control-layers.html
    """
    if call.action not in {"lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"}:
        return
    if listed((call.parameters.get("VpcConfig") or {}).get("SubnetIds")):
        for look in VPC_READS:
            yield look, Resource(None, "*")
    for mounted in listed(call.parameters.get("FileSystemConfigs")):
        name = world.file_system_of_point(mounted["Arn"], call.region) or "*"
        resource = arn(call, "elasticfilesystem", f"file-system/{name}")
        yield "elasticfilesystem:DescribeMountTargets", Resource("file-system", resource)
    for layer in listed(call.parameters.get("Layers")):
        yield "lambda:GetLayerVersion", Resource("layerVersion", layer)
