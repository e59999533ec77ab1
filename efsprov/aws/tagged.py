"""Finds what efsprov's runs have made, by the tags that only efsprov puts on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from efsprov.aws.compute import list_instances
from efsprov.aws.session import Aws
from efsprov.aws.tagging import read_tags
from efsprov.core.tags import RUN

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

Kind = Literal["instance", "security group", "key pair"]


@dataclass(frozen=True)
class Tagged:
    """Something that carries the tags of a run. A key pair's ``name`` is what it is deleted by."""

    kind: Kind
    id: str
    name: str
    region: str
    tags: Mapping[str, str]

    @property
    def run(self) -> str:
        """The run that made it."""
        return self.tags[RUN]

    @property
    def command(self) -> str:
        """The command that removes it by hand."""
        if self.kind == "instance":
            return f"aws ec2 terminate-instances --region {self.region} --instance-ids {self.id}"
        if self.kind == "security group":
            return f"aws ec2 delete-security-group --region {self.region} --group-id {self.id}"
        return f"aws ec2 delete-key-pair --region {self.region} --key-name {self.name}"


def find_tagged(aws: Aws) -> tuple[Tagged, ...]:
    """Return all of the region, in the order in which it can be removed: an instance holds its group.

    Volumes and network interfaces are not among them: they go with their instance (DeleteOnTermination).
    """
    by_tag: list[FilterTypeDef] = [{"Name": "tag-key", "Values": [RUN]}]
    group_pages = aws.ec2.get_paginator("describe_security_groups").paginate(Filters=by_tag)
    groups = [group for page in aws.call(lambda: list(group_pages)) for group in page["SecurityGroups"]]
    keys = aws.call(lambda: aws.ec2.describe_key_pairs(Filters=by_tag))["KeyPairs"]
    found = (
        *(Tagged("instance", i.id, i.tags.get("Name", ""), aws.region, i.tags) for i in list_instances(aws)),
        *(
            Tagged("security group", g["GroupId"], g["GroupName"], aws.region, read_tags(g.get("Tags", [])))
            for g in groups
        ),
        *(Tagged("key pair", k["KeyPairId"], k["KeyName"], aws.region, read_tags(k.get("Tags", []))) for k in keys),
    )
    return tuple(one for one in found if one.tags.get(RUN))  # whatever a filter let through
