"""Subnets, routes and security groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.aws.tagging import read_tags, tag_specification
from efsprov.core.errors import AwsError
from efsprov.core.retry import EVENTUALLY_CONSISTENT, IN_USE, call
from efsprov.core.tags import RUN

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, IpPermissionUnionTypeDef


@dataclass(frozen=True)
class Subnet:
    """A subnet of a VPC in a zone; ``cidr`` is its block of addresses."""

    id: str
    vpc: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class PortRule:
    """What one rule of a security group lets through: TCP ports from ``first`` to ``last``, from or to blocks and groups."""

    group: str
    first: int
    last: int
    blocks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def describe_subnets(aws: Aws, subnets: Iterable[str]) -> dict[str, Subnet]:
    """Return subnets by id; raises ``AwsError`` when one does not exist."""
    told = aws.call(lambda: aws.ec2.describe_subnets(SubnetIds=sorted(set(subnets))))["Subnets"]
    return {s["SubnetId"]: Subnet(s["SubnetId"], s["VpcId"], s["AvailabilityZone"], s["CidrBlock"]) for s in told}


def has_internet_route(aws: Aws, subnet: Subnet) -> bool:
    """Tell whether the subnet's route table, or the VPC's main one, leads to an internet gateway."""
    tables = _route_tables(aws, "association.subnet-id", subnet.id) or _route_tables(
        aws, "vpc-id", subnet.vpc, main=True
    )
    return any(gateway.startswith("igw-") for table in tables for gateway in table)


def list_ingress(aws: Aws, groups: Iterable[str]) -> tuple[PortRule, ...]:
    """Return what security groups let in over TCP; a rule for all protocols counts as all ports."""
    return _port_rules(aws, groups, "IpPermissions")


def list_egress(aws: Aws, groups: Iterable[str]) -> tuple[PortRule, ...]:
    """Return what security groups let out over TCP; a rule for all protocols counts as all ports."""
    return _port_rules(aws, groups, "IpPermissionsEgress")


def _port_rules(
    aws: Aws, groups: Iterable[str], way: Literal["IpPermissions", "IpPermissionsEgress"]
) -> tuple[PortRule, ...]:
    told = aws.call(lambda: aws.ec2.describe_security_groups(GroupIds=sorted(set(groups))))["SecurityGroups"]
    return tuple(
        PortRule(
            group["GroupId"],
            rule.get("FromPort", 0) if rule["IpProtocol"] != "-1" else 0,
            rule.get("ToPort", 65535) if rule["IpProtocol"] != "-1" else 65535,
            tuple(block["CidrIp"] for block in rule.get("IpRanges", [])),
            tuple(pair["GroupId"] for pair in rule.get("UserIdGroupPairs", []) if "GroupId" in pair),
        )
        for group in told
        for rule in group.get(way, [])
        if rule["IpProtocol"] in {"tcp", "6", "-1"}
    )


def connect_endpoint_groups(aws: Aws, vpc: str) -> tuple[str, ...]:
    """Return the security groups of the VPC's EC2 Instance Connect Endpoint; none where it has no such endpoint."""
    filters: list[FilterTypeDef] = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "state", "Values": ["create-complete"]},
    ]
    told = aws.call(lambda: aws.ec2.describe_instance_connect_endpoints(Filters=filters))["InstanceConnectEndpoints"]
    return tuple(told[0].get("SecurityGroupIds", [])) if told else ()


def create_group(aws: Aws, name: str, *, vpc: str, description: str, tags: Mapping[str, str]) -> str:
    """Create a security group and return its id.

    CreateSecurityGroup has no client token, but names are unique in a VPC: one that is there already and carries
    this run's tag is what a lost reply left.
    """

    def send() -> str:
        return aws.ec2.create_security_group(
            GroupName=name,
            VpcId=vpc,
            Description=description,
            TagSpecifications=[tag_specification("security-group", tags)],
        )["GroupId"]

    try:
        return aws.call(send)
    except AwsError as error:
        if code_of(error) != "InvalidGroup.Duplicate":
            raise
        for group in _groups_named(aws, name, vpc):
            if group[1].get(RUN) == tags[RUN]:
                return group[0]
        raise


def allow_ingress(
    aws: Aws, group: str, *, port: int, block: str = "", source: str = "", tags: Mapping[str, str]
) -> None:
    """Let TCP to ``port`` in from a block of addresses or from the members of the group ``source``; twice is once."""
    permission: IpPermissionUnionTypeDef = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if block:
        permission["IpRanges"] = [{"CidrIp": block, "Description": "efsprov's orchestrator"}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": source, "Description": "efsprov's way in"}]
    try:
        call(
            EVENTUALLY_CONSISTENT,
            lambda: aws.call(
                lambda: aws.ec2.authorize_security_group_ingress(
                    GroupId=group,
                    IpPermissions=[permission],
                    TagSpecifications=[tag_specification("security-group-rule", tags)],
                )
            ),
            when=lambda error: code_of(error) == "InvalidGroup.NotFound",
        )
    except AwsError as error:
        if code_of(error) != "InvalidPermission.Duplicate":
            raise


def delete_group(aws: Aws, group: str) -> None:
    """Delete a security group, waiting while it is in use; one that is not there counts as deleted.

    The interface of an instance holds its group until the instance is terminated, and a little longer.
    """
    try:
        call(
            IN_USE,
            lambda: aws.call(lambda: aws.ec2.delete_security_group(GroupId=group)),
            when=lambda error: code_of(error) == "DependencyViolation",
        )
    except AwsError as error:
        if code_of(error) != "InvalidGroup.NotFound":
            raise


def delete_groups_named(aws: Aws, name: str, *, vpc: str, run: str) -> None:
    """Delete the security group of a name in a VPC, if it carries the run's tag; see ``delete_group``."""
    for group, tags in _groups_named(aws, name, vpc):
        if tags.get(RUN) == run:
            delete_group(aws, group)


def _route_tables(aws: Aws, name: str, value: str, *, main: bool = False) -> list[list[str]]:
    filters: list[FilterTypeDef] = [{"Name": name, "Values": [value]}]
    if main:
        filters.append({"Name": "association.main", "Values": ["true"]})
    told = aws.call(lambda: aws.ec2.describe_route_tables(Filters=filters))["RouteTables"]
    return [[route.get("GatewayId", "") for route in table.get("Routes", [])] for table in told]


def _groups_named(aws: Aws, name: str, vpc: str) -> list[tuple[str, dict[str, str]]]:
    filters: list[FilterTypeDef] = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    told = aws.call(lambda: aws.ec2.describe_security_groups(Filters=filters))["SecurityGroups"]
    return [(group["GroupId"], read_tags(group.get("Tags", []))) for group in told]
