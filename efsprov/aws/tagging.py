"""Tags in the forms that EC2 takes and gives."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from efsprov.aws.session import Aws

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import TagSpecificationTypeDef, TagTypeDef


def tag_specification(kind: "ResourceTypeType", tags: Mapping[str, str]) -> "TagSpecificationTypeDef":
    """Return the part of a creating call that tags what it creates."""
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def read_tags(response: "Iterable[TagTypeDef]") -> dict[str, str]:
    """Return EC2's list of tags as a dictionary."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in response}


def add_tags(aws: Aws, resources: Iterable[str], tags: Mapping[str, str]) -> None:
    """Put tags on EC2 resources that exist, by their ids; a tag that is there already is replaced."""
    wanted = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    aws.call(lambda: aws.ec2.create_tags(Resources=list(resources), Tags=wanted))  # type: ignore[arg-type]
