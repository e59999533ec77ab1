"""What may leave a function's subnets: default routes, VPC endpoints, permissions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from efsprov.aws.session import Aws

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef
    from mypy_boto3_iam.literals import ContextKeyTypeEnumType


@dataclass(frozen=True)
class Way:
    """Where a subnet's default route leads: "nat", "internet" (a gateway), "other" or "" for nowhere."""

    subnet: str
    leads: str


def default_way(aws: Aws, subnet: str, vpc: str) -> Way:
    """Return where a subnet's default route leads, by its own route table or the VPC's main one."""
    tables = _tables(aws, [{"Name": "association.subnet-id", "Values": [subnet]}])
    main: list[FilterTypeDef] = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "association.main", "Values": ["true"]},
    ]
    for table in tables or _tables(aws, main):
        for route in table.get("Routes", []):
            if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active":
                return Way(subnet, _kind(route))
    return Way(subnet, "")


def may(aws: Aws, role: str, actions: Sequence[str], resource: str, access_point: str) -> dict[str, bool]:
    """Ask IAM whether a role may do actions on a resource through an access point; by action."""
    iam = aws.client("iam")
    response = aws.call(
        lambda: iam.simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=list(actions),
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": kind}
                for name, kind, value in _mounted_through(access_point)
            ],
        )
    )
    return {result["EvalActionName"]: result["EvalDecision"] == "allowed" for result in response["EvaluationResults"]}


def _mounted_through(access_point: str) -> "tuple[tuple[str, ContextKeyTypeEnumType, str], ...]":
    """The condition keys that EFS has for a mount over TLS by an access point; a simulation takes one left out as missing.

    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    return (
        ("elasticfilesystem:AccessPointArn", "string", access_point),
        ("elasticfilesystem:AccessedViaMountTarget", "boolean", "true"),
        ("aws:SecureTransport", "boolean", "true"),
    )


def _tables(aws: Aws, filters: "list[FilterTypeDef]") -> list[Any]:
    return list(aws.call(lambda: aws.ec2.describe_route_tables(Filters=filters))["RouteTables"])


def _kind(route: dict[str, str]) -> str:
    if route.get("NatGatewayId"):
        return "nat"
    return "internet" if route.get("GatewayId", "").startswith("igw-") else "other"
