"""What decides how a file system performs, what it costs, and who may do what on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError


@dataclass(frozen=True)
class FileSystemDetails:
    """A file system's state, throughput mode ("elastic", "bursting", "provisioned") and size in bytes."""

    id: str
    arn: str
    state: str
    throughput: str
    size: int


@dataclass(frozen=True)
class Lifecycle:
    """When files move to cheaper and slower storage ("AFTER_30_DAYS"), and whether they come back; "" for never."""

    to_infrequent: str
    to_archive: str
    back: str


@dataclass(frozen=True)
class AccessPointDetails:
    """An access point: its folder, whom it acts as (None: the caller), and what it makes the folder with, if it does."""

    id: str
    arn: str
    file_system: str
    state: str
    path: str
    uid: int | None
    gid: int | None
    owner_uid: int | None
    mode: str


def file_system_details(aws: Aws, file_system: str) -> FileSystemDetails:
    """Return a file system's details; raises ``AwsError`` when there is none of that id in the region."""
    response = aws.call(lambda: aws.efs.describe_file_systems(FileSystemId=file_system))["FileSystems"][0]
    return FileSystemDetails(
        response["FileSystemId"],
        response.get("FileSystemArn", ""),
        response["LifeCycleState"],
        response.get("ThroughputMode", "bursting"),
        response.get("SizeInBytes", {}).get("Value", 0),
    )


def access_point_details(aws: Aws, access_point: str) -> AccessPointDetails:
    """Return an access point's details; raises ``AwsError`` when there is none of that id in the region."""
    response = aws.call(lambda: aws.efs.describe_access_points(AccessPointId=access_point))["AccessPoints"][0]
    user, folder = response.get("PosixUser"), response.get("RootDirectory", {})
    made = folder.get("CreationInfo")
    return AccessPointDetails(
        id=response["AccessPointId"],
        arn=response.get("AccessPointArn", ""),
        file_system=response["FileSystemId"],
        state=response["LifeCycleState"],
        path=folder.get("Path", "/"),
        uid=user["Uid"] if user else None,
        gid=user["Gid"] if user else None,
        owner_uid=made["OwnerUid"] if made else None,
        mode=made["Permissions"] if made else "",
    )


def read_lifecycle(aws: Aws, file_system: str) -> Lifecycle:
    """Return a file system's lifecycle policy."""
    response = aws.call(lambda: aws.efs.describe_lifecycle_configuration(FileSystemId=file_system))
    policies: dict[str, str] = {}
    for policy in response.get("LifecyclePolicies", []):
        policies.update({str(key): str(value) for key, value in policy.items()})
    return Lifecycle(
        policies.get("TransitionToIA", ""),
        policies.get("TransitionToArchive", ""),
        policies.get("TransitionToPrimaryStorageClass", ""),
    )


def read_file_system_policy(aws: Aws, file_system: str) -> Mapping[str, Any] | None:
    """Return a file system's own policy; None where it has none, and whoever reaches it may do everything."""
    try:
        response = aws.call(lambda: aws.efs.describe_file_system_policy(FileSystemId=file_system))
    except AwsError as error:
        if code_of(error) == "PolicyNotFound":
            return None
        raise
    policy: Mapping[str, Any] = json.loads(response["Policy"])
    return policy
