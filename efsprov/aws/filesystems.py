"""EFS file systems, where they can be mounted, and their access points."""

from dataclasses import dataclass

from efsprov.aws.session import Aws


@dataclass(frozen=True)
class MountTarget:
    """A file system's address in one zone's subnet; ``groups`` are the security groups that guard it."""

    id: str
    subnet: str
    zone: str
    address: str
    state: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class FileSystem:
    """A file system and the state it is in ("available" when it can be mounted)."""

    id: str
    state: str


@dataclass(frozen=True)
class AccessPoint:
    """An access point of the file system ``file_system``; ``path`` is the folder that it makes the root."""

    id: str
    file_system: str
    state: str
    path: str


def describe_file_system(aws: Aws, file_system: str) -> FileSystem:
    """Return a file system; raises ``AwsError`` when there is none of that id in the region."""
    found = aws.call(lambda: aws.efs.describe_file_systems(FileSystemId=file_system))["FileSystems"][0]
    return FileSystem(found["FileSystemId"], found["LifeCycleState"])


def describe_access_point(aws: Aws, access_point: str) -> AccessPoint:
    """Return an access point; raises ``AwsError`` when there is none of that id in the region."""
    found = aws.call(lambda: aws.efs.describe_access_points(AccessPointId=access_point))["AccessPoints"][0]
    return AccessPoint(
        found["AccessPointId"],
        found["FileSystemId"],
        found["LifeCycleState"],
        found.get("RootDirectory", {}).get("Path", "/"),
    )


def list_mount_targets(aws: Aws, file_system: str) -> tuple[MountTarget, ...]:
    """Return the mount targets of a file system, by zone; at most one a zone, so one page holds them."""
    response = aws.call(lambda: aws.efs.describe_mount_targets(FileSystemId=file_system))["MountTargets"]
    return tuple(
        sorted(
            (
                MountTarget(
                    t["MountTargetId"],
                    t["SubnetId"],
                    t.get("AvailabilityZoneName", ""),
                    t.get("IpAddress", ""),
                    t["LifeCycleState"],
                    _groups(aws, t["MountTargetId"]),
                )
                for t in response
            ),
            key=lambda target: target.zone,
        )
    )


def _groups(aws: Aws, mount_target: str) -> tuple[str, ...]:
    request = aws.efs.describe_mount_target_security_groups
    return tuple(aws.call(lambda: request(MountTargetId=mount_target))["SecurityGroups"])
