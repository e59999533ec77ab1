"""What a doctor knows about a function and its file system; what it may not read is said instead of guessed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from efsprov.aws.file_system_details import AccessPointDetails, FileSystemDetails, Lifecycle
from efsprov.aws.filesystems import MountTarget
from efsprov.aws.functions import FunctionConfig
from efsprov.aws.identity import Identity
from efsprov.aws.network import PortRule, Subnet, VpcDns
from efsprov.aws.reachability import Way
from efsprov.functions.channels import ChannelFacts
from efsprov.functions.disk_space import DiskSpace


@dataclass(frozen=True)
class Unread:
    """Something that could not be read, and why, in one sentence."""

    why: str


@dataclass(frozen=True)
class Account:
    """The region's quotas of Lambda: bytes of all packages, and functions at work at once that are not reserved."""

    code_bytes: int
    code_limit: int
    concurrency: int


@dataclass(frozen=True)
class Facts:
    """Everything that the rules look at. None: there is no such thing, or nobody asked for it."""

    identity: Identity | Unread
    function: FunctionConfig | Unread | None = None
    builder: bool = False
    builder_unread: Unread | None = None
    """Why it is not known whether the function is a builder."""
    access_point: AccessPointDetails | Unread | None = None
    file_system: FileSystemDetails | Unread | None = None
    lifecycle: Lifecycle | Unread | None = None
    policy: Mapping[str, Any] | Unread | None = None
    mount_targets: tuple[MountTarget, ...] | Unread = ()
    subnets: Mapping[str, Subnet] | Unread = field(default_factory=dict)
    egress: tuple[PortRule, ...] | Unread = ()
    ingress: tuple[PortRule, ...] | Unread = ()
    ways: tuple[Way, ...] | Unread = ()
    permissions: Mapping[str, bool] | Unread = field(default_factory=dict)
    channels: tuple[ChannelFacts, ...] | Unread | None = None
    wanted_channels: tuple[str, ...] = ()
    disk_space: DiskSpace | Unread | None = None
    account: Account | Unread | None = None
    reserved: int | Unread | None = None
    """How many of the function's environments may work at once, where that is reserved."""
    dns: VpcDns | Unread | None = None
    burst_credits: float | Unread | None = None
    """Bytes that a file system in bursting mode may still read at full speed."""
    layer: str = "efsprov-bootstrap"
