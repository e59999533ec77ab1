"""Where a builder may stand and what guards it: pure decisions from what AWS told."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from efsprov.aws.compute import TypeFacts
from efsprov.aws.filesystems import MountTarget
from efsprov.aws.network import PortRule, Subnet
from efsprov.core.errors import BuilderError

NFS_PORT: Final = 2049


@dataclass(frozen=True)
class Candidate:
    """An instance type in a subnet: one place to ask for an instance."""

    instance_type: str
    subnet: str
    zone: str

    def __str__(self) -> str:
        return f"{self.instance_type} in {self.zone}"


@dataclass(frozen=True)
class ClientGroups:
    """The security groups that an instance must have, and what could not be found out about those of the mount targets."""

    groups: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def usable_subnets(
    file_system: str, targets: Sequence[MountTarget], subnets: Mapping[str, Subnet], named: Sequence[str]
) -> tuple[Subnet, ...]:
    """Return the subnets that a builder may stand in: those named, or else those of the mount targets.

    The file system must have an available mount target in the zone and the VPC: the mount helper looks for it there.
    Raises ``BuilderError`` telling where there are some.
    """
    available = [target for target in targets if target.state == "available"]
    if not available:
        states = ", ".join(f"{t.id} in {t.zone} is {t.state}" for t in targets) or "it has none"
        raise BuilderError(
            f"{file_system} has no mount target that can be used ({states}): nothing can mount it.",
            hint="Create one in each zone that functions and builders use: `aws efs create-mount-target`.",
        )
    vpc = subnets[available[0].subnet].vpc
    zones = {target.zone or subnets[target.subnet].zone for target in available}
    chosen = [subnets[subnet] for subnet in named] if named else [subnets[target.subnet] for target in available]
    for subnet in chosen:
        if subnet.vpc != vpc:
            raise BuilderError(
                f"The subnet {subnet.id} is in {subnet.vpc}, the mount targets of {file_system} are in {vpc}.",
                hint="Name a subnet of that VPC, or leave it out.",
            )
        if subnet.zone not in zones:
            raise BuilderError(
                f"{file_system} has no mount target in {subnet.zone}, the zone of the subnet {subnet.id}.",
                hint=f"There are mount targets in {', '.join(sorted(zones))}: name a subnet there, or leave it out.",
            )
    return tuple(chosen)


def candidates(
    names: Sequence[str], facts: Mapping[str, TypeFacts], arch: str, subnets: Iterable[Subnet]
) -> tuple[Candidate, ...]:
    """Return where to ask for an instance, in order: each type in all its zones, before the next type.

    Types that the region does not have are passed over. Raises ``BuilderError`` for a type of another architecture,
    and when no zone offers any of the types.
    """
    subnets = tuple(subnets)
    known = [name for name in names if name in facts]
    for name in known:
        if arch not in facts[name].archs:
            raise BuilderError(
                f"{name} is {' or '.join(facts[name].archs)}; the target is {arch}.",
                hint="Name a type of that architecture with --instance-type, or leave it out.",
            )
    found = tuple(Candidate(n, s.id, s.zone) for n in known for s in subnets if s.zone in facts[n].zones)
    if not found:
        zones = ", ".join(sorted({subnet.zone for subnet in subnets}))
        raise BuilderError(
            f"None of {', '.join(names)} is offered in {zones}.",
            hint="Name other types with --instance-type: `aws ec2 describe-instance-type-offerings` lists them.",
        )
    return found


def client_groups(
    file_system: str,
    targets: Sequence[MountTarget],
    rules: Sequence[PortRule],
    subnets: Iterable[Subnet],
    extra: Sequence[str],
) -> ClientGroups:
    """Return the security groups that the instance must have to be let in to the mount targets' NFS port.

    An instance mounts the target of its own zone. A rule for its subnets' addresses needs no group; a rule for a group
    needs that group. A rule that efsprov cannot resolve is a warning. Nothing of the user's is changed. Raises
    ``BuilderError`` when a mount target lets nobody in whom efsprov could be.
    """
    subnets, wanted, warnings = tuple(subnets), list(extra), list[str]()
    for target in targets:
        near = [subnet for subnet in subnets if subnet.zone == target.zone or not target.zone]
        if target.state != "available" or not near:
            continue
        open_rules = [r for r in rules if r.group in target.groups and r.first <= NFS_PORT <= r.last]
        blocks = [block for rule in open_rules for block in rule.blocks]
        let_in = [group for rule in open_rules for group in rule.groups]
        unread = [source for rule in open_rules for source in rule.unread]
        if _covers(blocks, near) or set(let_in) & set(wanted):
            continue
        if let_in:
            wanted.append(let_in[0])
        elif unread:
            warnings.append(
                f"Whether the mount target {target.id} lets the builder in is not known: port {NFS_PORT} is open to "
                f"{', '.join(unread)}, which efsprov does not look into."
            )
        else:
            group = target.groups[0] if target.groups else "GROUP"
            raise BuilderError(
                f"The mount target {target.id} of {file_system} lets no builder in: no rule of {', '.join(target.groups)} "
                f"opens port {NFS_PORT} to the subnet or to a security group.",
                hint=f"Let members of the group in: `aws ec2 authorize-security-group-ingress --group-id {group} "
                f"--protocol tcp --port {NFS_PORT} --source-group {group}`.",
            )
    return ClientGroups(tuple(dict.fromkeys(wanted)), tuple(warnings))


def _covers(blocks: Sequence[str], subnets: Sequence[Subnet]) -> bool:
    networks = [ipaddress.ip_network(block) for block in blocks]
    return all(any(_within(ipaddress.ip_network(subnet.cidr), network) for network in networks) for subnet in subnets)


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
