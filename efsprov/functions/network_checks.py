"""Rules about the network: from the function's subnets to the mount targets, and from the builder to the world."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from efsprov.aws.filesystems import MountTarget
from efsprov.aws.functions import FunctionConfig
from efsprov.aws.network import PortRule, Subnet
from efsprov.functions.facts import Facts, Unread
from efsprov.functions.finding import Finding, ok, problem, unknown, warning

_NFS: Final = 2049


def check_vpc(facts: Facts) -> Iterator[Finding]:
    """The function is in a VPC, and each of its zones has a mount target."""
    function, targets, subnets = facts.function, facts.mount_targets, facts.subnets
    if not isinstance(function, FunctionConfig):
        return
    if not function.subnets:
        yield problem(
            "VPC",
            f"{function.name} is in no VPC: it cannot mount a file system.",
            "`efsprov attach --subnet ID --security-group ID` puts it into one.",
        )
        return
    if isinstance(targets, Unread):
        yield unknown("mount targets", targets)
        return
    if isinstance(subnets, Unread):
        yield unknown("mount targets", subnets)
        return
    usable = {target.zone for target in targets if target.state == "available"}
    zones = {subnet.zone for subnet in subnets.values()}
    if lacking := sorted(zones - usable):
        yield problem(
            "mount targets",
            f"There is none that is available in {', '.join(lacking)}, where the function has a subnet.",
            "`aws efs create-mount-target` makes one in a subnet of that zone, or take the subnet from the function.",
        )
    else:
        yield ok("mount targets", f"One in each of {', '.join(sorted(zones))}.")


def check_port(facts: Facts) -> Iterator[Finding]:
    """Security groups let NFS out of the function and into the mount targets of its zones."""
    function, targets, subnets = facts.function, facts.mount_targets, facts.subnets
    if not isinstance(function, FunctionConfig) or not function.subnets:
        return
    if isinstance(targets, Unread) or isinstance(subnets, Unread):
        return  # said already
    zones = {subnet.zone for subnet in subnets.values()}
    near = [target for target in targets if target.zone in zones]
    if isinstance(facts.egress, Unread):
        yield unknown("security group, out", facts.egress)
    elif shut := [t for t in near if not any(_lets_out(rule, t) for rule in facts.egress)]:
        yield problem(
            "security group, out",
            f"{', '.join(function.groups)} let no TCP {_NFS} out to {', '.join(t.id for t in shut)}.",
            f"Add an outgoing rule for TCP {_NFS} to the mount target's security group.",
        )
    else:
        yield ok("security group, out", f"TCP {_NFS} to the mount targets.")
    if isinstance(facts.ingress, Unread):
        yield unknown("security group, in", facts.ingress)
    elif shut := [t for t in near if not _all_let_in(facts.ingress, t, function, subnets)]:
        groups = sorted({group for target in shut for group in target.groups})
        yield problem(
            "security group, in",
            f"{', '.join(groups) or 'No group'} of {', '.join(t.id for t in shut)} let no TCP {_NFS} in from the function.",
            f"aws ec2 authorize-security-group-ingress --group-id {groups[0] if groups else 'GROUP'} --protocol tcp "
            f"--port {_NFS} --source-group {function.groups[0] if function.groups else 'GROUP'}",
        )
    else:
        yield ok("security group, in", f"TCP {_NFS} from the function.")


def check_way_out(facts: Facts) -> Iterator[Finding]:
    """The builder function reaches the package index: a function in a VPC has no public address of its own."""
    if not facts.builder or not isinstance(facts.function, FunctionConfig):
        return
    if isinstance(facts.ways, Unread):
        yield unknown("way to the index", facts.ways)
        return
    shut = [way for way in facts.ways if way.leads in {"", "internet"}]
    if not shut:
        yield ok("way to the index", "Each subnet has a default route through a NAT gateway or another device.")
        return
    cause = "an internet gateway, which a function in a VPC cannot use" if shut[0].leads else "no default route"
    yield warning(
        "way to the index",
        f"{', '.join(way.subnet for way in shut)}: {cause}.",
        "Put the function into subnets with a NAT gateway, or have an index that it reaches: a VPC endpoint of a "
        "repository, named with `efsprov builder deploy --env UV_DEFAULT_INDEX=...`.",
    )


def _lets_out(rule: PortRule, target: MountTarget) -> bool:
    if not rule.first <= _NFS <= rule.last:
        return False
    return bool(set(rule.groups) & set(target.groups)) or any(_holds(block, target.address) for block in rule.blocks)


def _all_let_in(
    rules: tuple[PortRule, ...], target: MountTarget, function: FunctionConfig, subnets: Mapping[str, Subnet]
) -> bool:
    """Whether functions in each of the subnets of the target's zone get in: they have addresses all over a subnet."""
    return all(
        any(_lets_in(rule, target, function, subnet) for rule in rules)
        for subnet in subnets.values()
        if subnet.zone == target.zone
    )


def _lets_in(rule: PortRule, target: MountTarget, function: FunctionConfig, subnet: Subnet) -> bool:
    if rule.group not in target.groups or not rule.first <= _NFS <= rule.last:
        return False
    return bool(set(rule.groups) & set(function.groups)) or any(_holds(block, subnet.cidr) for block in rule.blocks)


def _holds(block: str, inner: str) -> bool:
    try:
        outer, found = ipaddress.ip_network(block), ipaddress.ip_network(inner)
    except ValueError:
        return False
    return outer.version == found.version and found.subnet_of(outer)  # type: ignore[arg-type]
