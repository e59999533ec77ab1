"""What the EC2 builder needs to know from its user."""

import ipaddress
import posixpath
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from efsprov.core.command_words import check_remote_path, check_user
from efsprov.core.errors import UsageError
from efsprov.core.frozen import Exact

Connect = Literal["public", "private", "endpoint", "ssm"]
DEFAULT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "x86_64": ("m7i.xlarge", "m6i.xlarge", "m7a.xlarge", "m6a.xlarge"),
    "arm64": ("m7g.xlarge", "m6g.xlarge", "c7g.2xlarge"),
}
MOUNT_POINT: Final = "/mnt/efs"


class Ec2Settings(Exact):
    """`[ec2]` of efsprov.toml.

    The file system, or the access point, is mounted at /mnt/efs: the root is there or below. ``connect``: by the instance's "public"
    or "private" address, through the VPC's EC2 Instance Connect "endpoint", or through Systems Manager ("ssm", no port
    is opened at all). ``address`` is the one address that may reach port 22 [default: this machine's].
    ``minutes`` bounds a run; the instance powers itself off soon after, whatever happened here.
    """

    file_system: str | None = Field(default=None, pattern=r"^fs-[0-9a-f]{8,40}$")
    access_point: str | None = Field(default=None, pattern=r"^fsap-[0-9a-f]{8,40}$")
    instance_profile: str | None = Field(default=None, min_length=1)
    region: str | None = None
    profile: str | None = None
    instance_types: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    ami: str | None = Field(default=None, pattern=r"^ami-[0-9a-f]{8,40}$")
    volume_gib: int = Field(default=40, ge=8, le=16384)
    spot: bool = False
    connect: Connect = "public"
    address: str | None = None
    user: str = "ec2-user"
    ssh_port: int = Field(default=22, ge=1, le=65535)
    minutes: int = Field(default=120, ge=10, le=1440)
    tags: Mapping[str, str] = Field(default_factory=dict)
    keep_on_failure: bool = False

    @field_validator("address")
    @classmethod
    def _one_address(cls, address: str | None) -> str | None:
        if address is None:
            return None
        network = ipaddress.ip_network(address, strict=True)
        if network.num_addresses != 1:
            raise ValueError("must be one address: port 22 is not opened to a block of them")
        if network.version != 4:
            raise ValueError("must be an IPv4 address: the instance has no other")
        return str(network)

    @field_validator("user")
    @classmethod
    def _is_a_user(cls, user: str) -> str:
        return check_user(user)

    @model_validator(mode="after")
    def _own_tags_stay(self) -> "Ec2Settings":
        taken = [key for key in self.tags if key.startswith(("efsprov:", "aws:"))]
        if taken:
            raise ValueError(f"the tag {taken[0]} is not yours to set")
        return self

    def types_for(self, arch: str) -> tuple[str, ...]:
        """Return the instance types to try for an architecture, the preferred first."""
        return self.instance_types or DEFAULT_TYPES[arch]

    def complete(self) -> "CompleteSettings":
        """Return the settings with all that a launch cannot do without; raises ``UsageError`` naming what is missing."""
        missing = [name for name in ("file_system", "instance_profile") if getattr(self, name) is None]
        if missing:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise UsageError(
                f"An EC2 builder needs {flags}.",
                hint=f"Or {' and '.join(missing)} under [ec2] in efsprov.toml; see docs/how-to/build-on-ec2.md.",
            )
        return CompleteSettings.model_validate(self.model_dump())


class CompleteSettings(Ec2Settings):
    """Settings with which an instance can be launched."""

    file_system: str
    instance_profile: str


def check_root(root: str) -> str:
    """Return the root's path on the instance; raises ``UsageError`` when it is not on the mounted file system."""
    normal = posixpath.normpath(root)
    if normal != MOUNT_POINT and not normal.startswith(f"{MOUNT_POINT}/"):
        raise UsageError(
            f"An EC2 builder mounts the file system at {MOUNT_POINT}; {root} is not on it.",
            hint=f"--root {MOUNT_POINT}, or a folder below it.",
        )
    return check_remote_path(normal, what="a root on an EC2 builder")
