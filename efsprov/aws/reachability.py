"""What may leave a function's subnets: security groups' outgoing rules, default routes, VPC endpoints, permissions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from efsprov.aws.session import Aws

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef


@dataclass(frozen=True)
class Egress:
    """What one rule of a security group lets out: TCP ports from ``first`` to ``last``, to blocks and other groups."""

    group: str
    first: int
    last: int
    blocks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """Where a subnet's default route leads: "nat", "internet" (a gateway), "other" or "" for nowhere."""

    subnet: str
    leads: str


def list_egress(aws: Aws, groups: Iterable[str]) -> tuple[Egress, ...]:
    """Return what security groups let out over TCP; a rule for all protocols counts as all ports."""
    told = aws.call(lambda: aws.ec2.describe_security_groups(GroupIds=sorted(set(groups))))["SecurityGroups"]
    return tuple(
        Egress(
            group["GroupId"],
            rule.get("FromPort", 0) if rule["IpProtocol"] != "-1" else 0,
            rule.get("ToPort", 65535) if rule["IpProtocol"] != "-1" else 65535,
            tuple(block["CidrIp"] for block in rule.get("IpRanges", [])),
            tuple(pair["GroupId"] for pair in rule.get("UserIdGroupPairs", []) if "GroupId" in pair),
        )
        for group in told
        for rule in group.get("IpPermissionsEgress", [])
        if rule["IpProtocol"] in {"tcp", "6", "-1"}
    )


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
    told = aws.call(
        lambda: iam.simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=list(actions),
            ResourceArns=[resource],
            ContextEntries=[
                {
                    "ContextKeyName": "elasticfilesystem:AccessPointArn",
                    "ContextKeyValues": [access_point],
                    "ContextKeyType": "string",
                }
            ],
        )
    )
    return {result["EvalActionName"]: result["EvalDecision"] == "allowed" for result in told["EvaluationResults"]}


def _tables(aws: Aws, filters: "list[FilterTypeDef]") -> list[Any]:
    return list(aws.call(lambda: aws.ec2.describe_route_tables(Filters=filters))["RouteTables"])


def _kind(route: dict[str, str]) -> str:
    if route.get("NatGatewayId"):
        return "nat"
    return "internet" if route.get("GatewayId", "").startswith("igw-") else "other"
