"""Looks at everything that a launch depends on, and changes nothing: what cannot work is reported before anything is made."""

import ipaddress
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from efsprov.aws.address import address_toward, public_address
from efsprov.aws.compute import LaunchSpec, check_launch, describe_types
from efsprov.aws.filesystems import describe_access_point, describe_file_system, list_mount_targets
from efsprov.aws.identity import Identity, who_am_i
from efsprov.aws.images import Image, describe_image, latest_amazon_linux
from efsprov.aws.network import Subnet, describe_subnets, find_connect_endpoint, has_internet_route, list_ingress
from efsprov.aws.session import Aws
from efsprov.builders.ec2.placement import Candidate, candidates, client_groups, usable_subnets
from efsprov.builders.ec2.settings import CompleteSettings
from efsprov.builders.ec2.user_data import packages_for
from efsprov.core.errors import BuilderError, UsageError
from efsprov.core.tags import RUN
from efsprov.core.target import Target


@dataclass(frozen=True)
class Ingress:
    """Whom the builder's security group lets in to SSH: one address, one other group, or nobody."""

    block: str = ""
    group: str = ""


@dataclass(frozen=True)
class Site:
    """Where a builder can be launched, by whom, from what, and with what around it."""

    identity: Identity
    image: Image
    vpc: str
    candidates: tuple[Candidate, ...]
    groups: tuple[str, ...]
    ingress: Ingress
    mount_targets: Mapping[str, str] = field(default_factory=dict)
    """The address of the file system's mount target in each zone."""
    warnings: tuple[str, ...] = ()
    """What may keep the builder from mounting, and could not be found out."""


def preflight(aws: Aws, settings: CompleteSettings, target: Target) -> Site:
    """Return where the builder can be launched; raises ``BuilderError``, ``GateError`` or ``AwsError`` when it cannot.

    Ends with a dry run of the launch, which tells missing permissions and a missing instance profile.
    """
    packages_for(target)
    identity = who_am_i(aws)
    _check_file_system(aws, settings)
    targets = list_mount_targets(aws, settings.file_system)
    subnets = describe_subnets(aws, [*settings.subnets, *(t.subnet for t in targets)]) if targets else {}
    usable = usable_subnets(settings.file_system, targets, subnets, settings.subnets)
    if settings.connect == "public":
        usable = _with_internet(aws, usable)
    names = settings.types_for(target.arch)
    places = candidates(names, describe_types(aws, names), target.arch, usable)
    chosen = [subnet for subnet in usable if subnet.id in {place.subnet for place in places}]
    rules = list_ingress(aws, [group for t in targets for group in t.groups]) if any(t.groups for t in targets) else ()
    clients = client_groups(settings.file_system, targets, rules, chosen, settings.security_groups)
    site = Site(
        identity,
        _image(aws, settings, target),
        chosen[0].vpc,
        places,
        clients.groups,
        _ingress(aws, settings, chosen),
        {t.zone or subnets[t.subnet].zone: t.address for t in targets if t.state == "available"},
        clients.warnings,
    )
    check_launch(
        aws,
        launch_spec(
            settings, site, places[0], user_data="", groups=site.groups, tags={**settings.tags, RUN: "dry-run"}
        ),
    )
    return site


def launch_spec(
    settings: CompleteSettings,
    site: Site,
    place: Candidate,
    *,
    user_data: str,
    groups: tuple[str, ...],
    tags: dict[str, str],
    key_name: str = "",
) -> LaunchSpec:
    """Return what to launch in a place of the site."""
    return LaunchSpec(
        image=site.image.id,
        instance_type=place.instance_type,
        subnet=place.subnet,
        groups=groups,
        key_name=key_name,
        profile=settings.instance_profile,
        user_data=user_data,
        root_device=site.image.root_device,
        volume_gib=max(settings.volume_gib, site.image.root_gib),
        tags=tags,
        public=settings.connect == "public",
        spot=settings.spot,
    )


def _with_internet(aws: Aws, subnets: tuple[Subnet, ...]) -> tuple[Subnet, ...]:
    """Return those of the subnets in which a public address can be reached; raises ``BuilderError`` when none is left."""
    reached = tuple(subnet for subnet in subnets if has_internet_route(aws, subnet))
    if not reached:
        names = ", ".join(subnet.id for subnet in subnets)
        raise BuilderError(
            f"There is no way to an internet gateway from {names}: a public address there cannot be reached.",
            hint="Use --connect private, endpoint or ssm, or name a public subnet in a mount target's zone with --subnet.",
        )
    return reached


def _check_file_system(aws: Aws, settings: CompleteSettings) -> None:
    found = describe_file_system(aws, settings.file_system)
    if found.state not in {"available", "updating"}:
        raise BuilderError(
            f"The file system {found.id} is {found.state}.", hint="It can be mounted once it is available."
        )
    if settings.access_point is None:
        return
    point = describe_access_point(aws, settings.access_point)
    if point.file_system != settings.file_system:
        raise BuilderError(f"The access point {point.id} is one of {point.file_system}, not of {settings.file_system}.")
    if point.state != "available":
        raise BuilderError(f"The access point {point.id} is {point.state}.")


def _image(aws: Aws, settings: CompleteSettings, target: Target) -> Image:
    image = describe_image(aws, settings.ami or latest_amazon_linux(aws, target.arch))
    if image.arch != target.arch:
        raise BuilderError(
            f"The image {image.id} is for {image.arch}; the target is {target.arch}.",
            hint="Name an image of Amazon Linux 2023 for that architecture, or leave [ec2] ami out.",
        )
    return image


def _ingress(aws: Aws, settings: CompleteSettings, subnets: list[Subnet]) -> Ingress:
    if settings.connect == "ssm":
        _need_programs("aws", "session-manager-plugin")
        return Ingress()
    if settings.connect == "endpoint":
        _need_programs("aws")
        endpoint = find_connect_endpoint(aws, subnets[0].vpc)
        if endpoint is None:
            raise BuilderError(
                f"{subnets[0].vpc} has no EC2 Instance Connect Endpoint.",
                hint="Create one (`aws ec2 create-instance-connect-endpoint`), or use another way in with --connect.",
            )
        if not endpoint.keeps_address:
            return Ingress(group=endpoint.groups[0])
        return Ingress(block=settings.address or _alone(public_address()))
    if settings.connect == "private":
        first = ipaddress.ip_network(subnets[0].cidr)[1]
        return Ingress(block=settings.address or _alone(address_toward(str(first))))
    return Ingress(block=settings.address or _alone(public_address()))


def _alone(address: str) -> str:
    return str(ipaddress.ip_network(address))


def _need_programs(*names: str) -> None:
    for name in names:
        if shutil.which(name) is None:
            raise UsageError(
                f"The program {name} is not on this machine: this way in needs it.",
                hint="Install it, or use --connect public.",
            )
