"""Subnets, routes and security groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.aws.tagging import read_tags, tag_specification
from efsprov.core.errors import AwsError
from efsprov.core.tags import RUN
from efsprov.net.retry import EVENTUALLY_CONSISTENT, IN_USE, call

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
    """What one rule of a security group lets through: TCP ports from ``first`` to ``last``, from or to blocks and groups.

    ``unread`` are sources or destinations that efsprov does not resolve to addresses: prefix lists and blocks of IPv6.
    """

    group: str
    first: int
    last: int
    blocks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConnectEndpoint:
    """An EC2 Instance Connect Endpoint: its security groups, and whether an instance sees the caller's own address.

    With PreserveClientIp the packets come from that address, and a rule for the endpoint's group lets none of them in
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/eice-security-groups.html, 2026-11-26).
    """

    groups: tuple[str, ...]
    keeps_address: bool


def describe_subnets(aws: Aws, subnets: Iterable[str]) -> dict[str, Subnet]:
    """Return subnets by id; raises ``AwsError`` when one does not exist."""
    response = aws.call(lambda: aws.ec2.describe_subnets(SubnetIds=sorted(set(subnets))))["Subnets"]
    return {s["SubnetId"]: Subnet(s["SubnetId"], s["VpcId"], s["AvailabilityZone"], s["CidrBlock"]) for s in response}


@dataclass(frozen=True)
class VpcDns:
    """Whether a VPC answers DNS itself (``support``), and gives names to what has addresses in it (``hostnames``)."""

    vpc: str
    support: bool
    hostnames: bool


def describe_dns(aws: Aws, vpc: str) -> VpcDns:
    """Return a VPC's settings of DNS."""
    support = aws.call(lambda: aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport"))
    hostnames = aws.call(lambda: aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames"))
    return VpcDns(vpc, support["EnableDnsSupport"]["Value"], hostnames["EnableDnsHostnames"]["Value"])


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
    response = aws.call(lambda: aws.ec2.describe_security_groups(GroupIds=sorted(set(groups))))["SecurityGroups"]
    return tuple(
        PortRule(
            group["GroupId"],
            rule.get("FromPort", 0) if rule["IpProtocol"] != "-1" else 0,
            rule.get("ToPort", 65535) if rule["IpProtocol"] != "-1" else 65535,
            tuple(block["CidrIp"] for block in rule.get("IpRanges", [])),
            tuple(pair["GroupId"] for pair in rule.get("UserIdGroupPairs", []) if "GroupId" in pair),
            (
                *(entry["PrefixListId"] for entry in rule.get("PrefixListIds", [])),
                *(block["CidrIpv6"] for block in rule.get("Ipv6Ranges", [])),
            ),
        )
        for group in response
        for rule in group.get(way, [])
        if rule["IpProtocol"] in {"tcp", "6", "-1"}
    )


def find_connect_endpoint(aws: Aws, vpc: str) -> ConnectEndpoint | None:
    """Return the VPC's EC2 Instance Connect Endpoint; None where it has none that is ready."""
    filters: list[FilterTypeDef] = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "state", "Values": ["create-complete"]},
    ]
    found = aws.call(lambda: aws.ec2.describe_instance_connect_endpoints(Filters=filters))["InstanceConnectEndpoints"]
    if not found:
        return None
    return ConnectEndpoint(tuple(found[0].get("SecurityGroupIds", [])), found[0].get("PreserveClientIp", False))


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
        permission["IpRanges"] = [{"CidrIp": block, "Description": "efsprov: from its orchestrator"}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": source, "Description": "efsprov: from its way in"}]
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
    response = aws.call(lambda: aws.ec2.describe_route_tables(Filters=filters))["RouteTables"]
    return [[route.get("GatewayId", "") for route in table.get("Routes", [])] for table in response]


def _groups_named(aws: Aws, name: str, vpc: str) -> list[tuple[str, dict[str, str]]]:
    filters: list[FilterTypeDef] = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    response = aws.call(lambda: aws.ec2.describe_security_groups(Filters=filters))["SecurityGroups"]
    return [(group["GroupId"], read_tags(group.get("Tags", []))) for group in response]
