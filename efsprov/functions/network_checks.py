"""Rules about the network: from the function's subnets to the mount targets, and from the builder to the world."""

import ipaddress
from collections.abc import Collection, Iterator, Mapping
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
    elif not (shut := [t for t in near if not any(_lets_out(rule, t) for rule in facts.egress)]):
        yield ok("security group, out", f"TCP {_NFS} to the mount targets.")
    elif unread := _unread(facts.egress, function.groups):
        yield unknown("security group, out", unread)
    else:
        yield problem(
            "security group, out",
            f"{', '.join(function.groups)} let no TCP {_NFS} out to {', '.join(t.id for t in shut)}.",
            f"Add an outgoing rule for TCP {_NFS} to the mount target's security group.",
        )
    if isinstance(facts.ingress, Unread):
        yield unknown("security group, in", facts.ingress)
    elif not (shut := [t for t in near if not _all_let_in(facts.ingress, t, function, subnets)]):
        yield ok("security group, in", f"TCP {_NFS} from the function.")
    elif unread := _unread(facts.ingress, [group for target in shut for group in target.groups]):
        yield unknown("security group, in", unread)
    else:
        groups = sorted({group for target in shut for group in target.groups})
        yield problem(
            "security group, in",
            f"{', '.join(groups) or 'No group'} of {', '.join(t.id for t in shut)} let no TCP {_NFS} in from the function.",
            f"aws ec2 authorize-security-group-ingress --group-id {groups[0] if groups else 'GROUP'} --protocol tcp "
            f"--port {_NFS} --source-group {function.groups[0] if function.groups else 'GROUP'}",
        )


def check_dns(facts: Facts) -> Iterator[Finding]:
    """The VPC resolves the names of what the function calls, and of the file system where it is mounted by its name."""
    found = facts.dns
    if isinstance(found, Unread):
        yield unknown("VPC DNS", found)
    elif found is not None and not (found.support and found.hostnames):
        # https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
        off = "enable-dns-hostnames" if found.support else "enable-dns-support"
        yield warning(
            "VPC DNS",
            f"{found.vpc} has {off.replace('-', ' ')} off: names of VPC endpoints and of the file system are not resolved there.",
            f"aws ec2 modify-vpc-attribute --vpc-id {found.vpc} --{off} Value=true",
        )
    elif found is not None:
        yield ok("VPC DNS", f"{found.vpc} resolves names.")


def check_way_out(facts: Facts) -> Iterator[Finding]:
    """The builder function reaches the package index: a function in a VPC has no public address of its own.

    Of any other function it is only told what it reaches.
    """
    if not isinstance(facts.function, FunctionConfig) or not facts.function.subnets:
        return
    check = "way to the index" if facts.builder else "way out"
    if isinstance(facts.ways, Unread):
        yield unknown(check, facts.ways)
        return
    if not facts.builder:
        through = all(way.leads not in {"", "internet"} for way in facts.ways)
        yield ok(check, "Through its subnets' gateways." if through else "None: it reaches only what its VPC has.")
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


def _unread(rules: tuple[PortRule, ...], groups: Collection[str]) -> Unread | None:
    """Say which rules of the groups open the port to what is not resolved to addresses; None where there is none."""
    names = [s for rule in rules if rule.group in groups and rule.first <= _NFS <= rule.last for s in rule.unread]
    if not names:
        return None
    return Unread(
        f"TCP {_NFS} is open to {', '.join(dict.fromkeys(names))}, which efsprov does not resolve to addresses."
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
