"""Removes all that a check made, found by its tags and names: after success, a failure, a signal, or another day.

What cannot be removed yet (a network interface holds a security group) is tried again until its time is up.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from devtools.aws_check.account import ROLES, TAG, Account
from devtools.aws_check.commands import layer_versions
from efsprov.emit.shim import DISTRIBUTION

_GONE = ("NotFound", "NoSuchEntity", "NoSuchBucket", "ResourceNotFoundException")


@dataclass(frozen=True)
class Kind:
    """A kind of thing: how those of a check are found, and how one is removed. ``slow``: others may hold it for long."""

    name: str
    find: Callable[[Account], Iterable[str]]
    remove: Callable[[Account, str], Any]
    slow: bool = False


def remove_all(check: Account, say: Callable[[str], None], *, patience: float = 2700.0) -> tuple[str, ...]:
    """Remove everything of a check, and return what is left, in words. ``patience`` is in seconds, for slow kinds."""
    left: list[str] = []
    for kind in KINDS:
        left += _clear(check, kind, say, patience if kind.slow else min(patience, 600.0))
    return tuple(left)


def _clear(check: Account, kind: Kind, say: Callable[[str], None], patience: float) -> list[str]:
    end, tried = check.clock() + patience, False
    why, told = "", set[str]()
    while True:
        found: list[str] | None = None
        try:
            found = list(kind.find(check))
        except (ClientError, BotoCoreError) as error:
            why = f": {error}"
        if found == []:
            return []
        if tried and check.clock() >= end:
            return [f"{kind.name} {each}{why}" for each in found or ("(could not be looked for)",)]
        for each in found or ():
            if each not in told:
                say(f"removing {kind.name} {each}")
                told.add(each)
            try:
                kind.remove(check, each)
            except (ClientError, BotoCoreError) as error:
                why = f": {error}"
        tried = True
        check.sleep(5)


def _is_there(look: Callable[[], Any]) -> bool:
    try:
        look()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if any(word in code for word in _GONE) or code == "404":
            return False
        raise
    return True


def _functions(check: Account) -> Iterator[str]:
    awslambda = check.client("lambda")
    for name in (check.name("user"), check.name("builder")):
        if _is_there(functools.partial(awslambda.get_function_configuration, FunctionName=name)):
            yield name


def _layers(check: Account) -> list[str]:
    before = check.made.layers_before
    return [] if before is None else [str(version) for version in layer_versions(check) - before]


def _in_vpcs(check: Account, describe: str, listed: str, name: str, field: str = "vpc-id") -> list[str]:
    if not (vpcs := _vpcs(check)):
        return []
    told = getattr(check.client("ec2"), describe)(Filters=[{"Name": field, "Values": vpcs}])
    return [each[name] for each in told[listed]]


def _vpcs(check: Account) -> list[str]:
    return [vpc["VpcId"] for vpc in check.client("ec2").describe_vpcs(Filters=check.tagged)["Vpcs"]]


def _instances(check: Account) -> list[str]:
    told = check.client("ec2").describe_instances(Filters=[{"Name": "vpc-id", "Values": _vpcs(check) or ["none"]}])
    found = [i for each in told["Reservations"] for i in each["Instances"]]
    return [i["InstanceId"] for i in found if i["State"]["Name"] != "terminated"]


def _key_pairs(check: Account) -> list[str]:
    return [key["KeyName"] for key in check.client("ec2").describe_key_pairs(Filters=check.tagged)["KeyPairs"]]


def _gateways(check: Account) -> list[str]:
    told = check.client("ec2").describe_nat_gateways(Filter=[{"Name": "vpc-id", "Values": _vpcs(check) or ["none"]}])
    return [each["NatGatewayId"] for each in told["NatGateways"] if each["State"] != "deleted"]


def _addresses(check: Account) -> list[str]:
    return [each["AllocationId"] for each in check.client("ec2").describe_addresses(Filters=check.tagged)["Addresses"]]


def _file_systems(check: Account) -> list[str]:
    pages = check.client("efs").get_paginator("describe_file_systems").paginate()
    wanted = {"Key": TAG, "Value": check.run}
    found = [system for page in pages for system in page["FileSystems"] if wanted in system.get("Tags", [])]
    return [system["FileSystemId"] for system in found if system["LifeCycleState"] != "deleted"]


def _mount_targets(check: Account) -> Iterator[str]:
    for system in _file_systems(check):
        for target in check.client("efs").describe_mount_targets(FileSystemId=system)["MountTargets"]:
            yield target["MountTargetId"]


def _access_points(check: Account) -> Iterator[str]:
    for system in _file_systems(check):
        for point in check.client("efs").describe_access_points(FileSystemId=system)["AccessPoints"]:
            yield point["AccessPointId"]


def _buckets(check: Account) -> list[str]:
    there = _is_there(lambda: check.client("s3").head_bucket(Bucket=check.bucket))
    return [check.bucket] if there else []


def _remove_bucket(check: Account, name: str) -> None:
    s3 = check.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=name)


def _groups(check: Account) -> list[str]:
    vpcs = _vpcs(check)
    told = check.client("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": vpcs or ["none"]}])
    return [each["GroupId"] for each in told["SecurityGroups"] if each["GroupName"] != "default"]


def _tables(check: Account) -> list[str]:
    return [t["RouteTableId"] for t in check.client("ec2").describe_route_tables(Filters=check.tagged)["RouteTables"]]


def _remove_table(check: Account, name: str) -> None:
    ec2 = check.client("ec2")
    for table in ec2.describe_route_tables(RouteTableIds=[name])["RouteTables"]:
        for association in table["Associations"]:
            ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=name)


def _internet_gateways(check: Account) -> list[str]:
    told = check.client("ec2").describe_internet_gateways(Filters=check.tagged)["InternetGateways"]
    return [each["InternetGatewayId"] for each in told]


def _remove_internet_gateway(check: Account, name: str) -> None:
    ec2 = check.client("ec2")
    for gateway in ec2.describe_internet_gateways(InternetGatewayIds=[name])["InternetGateways"]:
        for attached in gateway["Attachments"]:
            ec2.detach_internet_gateway(InternetGatewayId=name, VpcId=attached["VpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=name)


def _roles(check: Account) -> Iterator[str]:
    iam = check.client("iam")
    for name in map(check.name, ROLES):
        if _is_there(functools.partial(iam.get_role, RoleName=name)):
            yield name


def _remove_role(check: Account, name: str) -> None:
    iam = check.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _profiles(check: Account) -> list[str]:
    name, iam = check.name("ec2-builder"), check.client("iam")
    return [name] if _is_there(lambda: iam.get_instance_profile(InstanceProfileName=name)) else []


def _remove_profile(check: Account, name: str) -> None:
    iam = check.client("iam")
    for role in iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])
    iam.delete_instance_profile(InstanceProfileName=name)


def _logs(check: Account) -> list[str]:
    prefix = f"/aws/lambda/{check.name()}-"
    told = check.client("logs").describe_log_groups(logGroupNamePrefix=prefix)
    return [each["logGroupName"] for each in told["logGroups"]]


KINDS = (  # what others hold comes after what holds it
    Kind("function", _functions, lambda c, n: c.client("lambda").delete_function(FunctionName=n)),
    Kind(
        f"version of the layer {DISTRIBUTION}",
        _layers,
        lambda c, n: c.client("lambda").delete_layer_version(LayerName=DISTRIBUTION, VersionNumber=int(n)),
    ),
    Kind("instance", _instances, lambda c, n: c.client("ec2").terminate_instances(InstanceIds=[n])),
    Kind("key pair", _key_pairs, lambda c, n: c.client("ec2").delete_key_pair(KeyName=n)),
    Kind("NAT gateway", _gateways, lambda c, n: c.client("ec2").delete_nat_gateway(NatGatewayId=n)),
    Kind("elastic address", _addresses, lambda c, n: c.client("ec2").release_address(AllocationId=n)),
    Kind("mount target", _mount_targets, lambda c, n: c.client("efs").delete_mount_target(MountTargetId=n)),
    Kind("access point", _access_points, lambda c, n: c.client("efs").delete_access_point(AccessPointId=n)),
    Kind("file system", _file_systems, lambda c, n: c.client("efs").delete_file_system(FileSystemId=n)),
    Kind("bucket", _buckets, _remove_bucket),
    Kind("instance profile", _profiles, _remove_profile),
    # Lambda gives a deleted function's network interfaces back later, by the function's role, which has to live as long:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html, "Hyperplane ENIs"
    Kind("security group", _groups, lambda c, n: c.client("ec2").delete_security_group(GroupId=n), slow=True),
    Kind(
        "subnet",
        lambda c: _in_vpcs(c, "describe_subnets", "Subnets", "SubnetId"),
        lambda c, n: c.client("ec2").delete_subnet(SubnetId=n),
        slow=True,
    ),
    Kind("route table", _tables, _remove_table),
    Kind("internet gateway", _internet_gateways, _remove_internet_gateway),
    Kind("VPC", _vpcs, lambda c, n: c.client("ec2").delete_vpc(VpcId=n)),
    Kind("role", _roles, _remove_role),
    Kind("log group", _logs, lambda c, n: c.client("logs").delete_log_group(logGroupName=n)),
)
