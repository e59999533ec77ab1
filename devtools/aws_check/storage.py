"""The file system with its mount target and access point, and a bucket with a model in it."""

import contextlib
import json
import struct

from devtools.aws_check.account import TAG, Account

MODEL = "models/weights.safetensors"


def make_file_system(check: Account) -> None:
    """An encrypted file system with elastic throughput, its mount target, and an access point for user 1000."""
    efs, made = check.client("efs"), check.made
    token = check.name()
    # a second request, after a lost reply, is told that there is one already
    with contextlib.suppress(efs.exceptions.FileSystemAlreadyExists):
        efs.create_file_system(CreationToken=token, Encrypted=True, ThroughputMode="elastic", Tags=check.tags())
    made.file_system = efs.describe_file_systems(CreationToken=token)["FileSystems"][0]["FileSystemId"]

    def is_there() -> bool:
        state = efs.describe_file_systems(FileSystemId=made.file_system)["FileSystems"][0]["LifeCycleState"]
        return bool(state == "available")

    check.until("the file system", is_there, seconds=300)
    efs.create_mount_target(FileSystemId=made.file_system, SubnetId=made.public, SecurityGroups=[made.guard])
    made.access_point = efs.create_access_point(
        ClientToken=check.name(),
        FileSystemId=made.file_system,
        PosixUser={"Uid": 1000, "Gid": 1000},
        RootDirectory={"Path": "/efsprov", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "755"}},
        Tags=check.tags(),
    )["AccessPointId"]

    def can_be_mounted() -> bool:
        targets = efs.describe_mount_targets(FileSystemId=made.file_system)["MountTargets"]
        points = efs.describe_access_points(AccessPointId=made.access_point)["AccessPoints"]
        return bool(targets) and all(each["LifeCycleState"] == "available" for each in (*targets, *points))

    check.until("the mount target", can_be_mounted, seconds=600)


def make_bucket(check: Account) -> None:
    """A private bucket with versions, and a model in it."""
    s3, elsewhere = check.client("s3"), {"CreateBucketConfiguration": {"LocationConstraint": check.region}}
    s3.create_bucket(Bucket=check.bucket, **({} if check.region == "us-east-1" else elsewhere))
    s3.put_bucket_tagging(Bucket=check.bucket, Tagging={"TagSet": [{"Key": TAG, "Value": check.run}]})
    s3.put_bucket_versioning(Bucket=check.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=check.bucket, Key=MODEL, Body=model())


def model() -> bytes:
    """A model of four numbers, as safetensors: https://huggingface.co/docs/safetensors/index, "Format"."""
    numbers = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
    header = json.dumps({"weights": {"dtype": "F32", "shape": [4], "data_offsets": [0, len(numbers)]}}).encode()
    return struct.pack("<Q", len(header)) + header + numbers
