"""Partitions of AWS: groups of regions with ARNs, endpoints and some service principals of their own."""

from typing import Final

# By how their regions' names begin (botocore 1.44.5, data/partitions.json).
_BY_REGION: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
)


def partition_of(region: str) -> str:
    """Return the partition of a region, as ARNs name it: "aws" for most.

    >>> partition_of("eusc-de-east-1"), partition_of("eu-central-1")
    ('aws-eusc', 'aws')
    """
    return next((partition for start, partition in _BY_REGION if region.startswith(start)), "aws")


def ec2_principal(partition: str) -> str:
    """Return the name by which EC2 takes a role: China has its own for EC2, and Lambda's is the same everywhere.

    https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html (2026-11-26)
    """
    return "ec2.amazonaws.com.cn" if partition == "aws-cn" else "ec2.amazonaws.com"
