"""EC2 instances: launched once whatever happens to the reply, looked at, and terminated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.aws.tagging import read_tags, tag_specification
from efsprov.core.errors import AwsError
from efsprov.core.tags import RUN
from efsprov.net.retry import EVENTUALLY_CONSISTENT, call

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        IamInstanceProfileSpecificationTypeDef,
        InstanceTypeDef,
        RunInstancesRequestTypeDef,
    )

GONE: Final = frozenset({"shutting-down", "terminated"})
_UNSEEN: Final = "InvalidInstanceID.NotFound"


@dataclass(frozen=True)
class LaunchSpec:
    """One instance to launch. ``volume_gib`` sizes the encrypted root volume; ``public`` gives it a public address."""

    image: str
    instance_type: str
    subnet: str
    groups: tuple[str, ...]
    key_name: str
    profile: str
    user_data: str
    root_device: str
    volume_gib: int
    tags: Mapping[str, str]
    public: bool
    spot: bool


@dataclass(frozen=True)
class Instance:
    """An instance as EC2 sees it; ``reason`` says why its state changed last, where EC2 tells."""

    id: str
    state: str
    reason: str
    instance_type: str
    zone: str
    public_address: str
    private_address: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class TypeFacts:
    """What an instance type is: its architectures, and the zones of the region that offer it."""

    name: str
    archs: tuple[str, ...]
    zones: tuple[str, ...]


def launch(aws: Aws, spec: LaunchSpec, *, token: str) -> str:
    """Launch one instance and return its id.

    ``token`` is the client token: the same token and specification give the same instance however often they are
    sent, from this process or another. Raises ``AwsError``; ``errors.CAPACITY`` tells when another zone or type may do.
    """
    request = launch_request(spec, token=token)
    response = call(
        EVENTUALLY_CONSISTENT,
        lambda: aws.call(lambda: aws.ec2.run_instances(**request)),
        # the key pair and the group are seconds old
        when=lambda error: code_of(error) in {"InvalidKeyPair.NotFound", "InvalidGroup.NotFound"},
    )
    return response["Instances"][0]["InstanceId"]


def check_launch(aws: Aws, spec: LaunchSpec) -> None:
    """Ask EC2 whether it would launch this, without doing so; raises ``AwsError`` when it would not."""
    request = launch_request(spec, token="")
    del request["ClientToken"]
    request["DryRun"] = True
    try:
        aws.call(lambda: aws.ec2.run_instances(**request))
    except AwsError as error:
        if code_of(error) != "DryRunOperation":
            raise


def launch_request(spec: LaunchSpec, *, token: str) -> "RunInstancesRequestTypeDef":
    """Return the RunInstances request for a specification.

    The instance terminates when it powers off (an EBS-backed one would only stop, and cost on), answers metadata
    requests by IMDSv2 alone and to itself alone, and is tagged in this very call, with its volume and its interface.
    """
    tagged: list[ResourceTypeType] = ["instance", "volume", "network-interface"]
    if spec.spot:
        tagged.append("spot-instances-request")
    profile: IamInstanceProfileSpecificationTypeDef = (
        {"Arn": spec.profile} if spec.profile.startswith("arn:") else {"Name": spec.profile}
    )
    request: RunInstancesRequestTypeDef = {
        "ClientToken": token,
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": spec.image,
        "InstanceType": spec.instance_type,  # type: ignore[typeddict-item]  # the settings name any type there is
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": spec.subnet,
                "Groups": list(spec.groups),
                "AssociatePublicIpAddress": spec.public,
                "DeleteOnTermination": True,
            }
        ],
        "BlockDeviceMappings": [
            {
                "DeviceName": spec.root_device,
                "Ebs": {
                    "VolumeSize": spec.volume_gib,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "IamInstanceProfile": profile,
        "UserData": spec.user_data,
        "TagSpecifications": [tag_specification(kind, spec.tags) for kind in tagged],
    }
    if spec.key_name:
        request["KeyName"] = spec.key_name
    if spec.spot:
        request["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
        }
    return request


def describe_instance(aws: Aws, instance: str) -> Instance:
    """Return an instance; one that was just launched may be unseen for seconds, and is waited for."""
    response = call(
        EVENTUALLY_CONSISTENT,
        lambda: aws.call(lambda: aws.ec2.describe_instances(InstanceIds=[instance])),
        when=lambda error: code_of(error) == _UNSEEN,
    )
    return _instance(response["Reservations"][0]["Instances"][0])


def list_instances(aws: Aws, *, run: str | None = None) -> Iterator[Instance]:
    """Yield the instances that carry efsprov's tags and are not gone; those of one run, where it is named."""
    chosen = {"Name": f"tag:{RUN}", "Values": [run]} if run else {"Name": "tag-key", "Values": [RUN]}
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=[chosen])  # type: ignore[list-item]
    for page in aws.call(lambda: list(pages)):
        for reservation in page["Reservations"]:
            for response in reservation["Instances"]:
                found = _instance(response)
                if found.state not in GONE:
                    yield found


def terminate(aws: Aws, instance: str) -> None:
    """Ask for an instance's termination.

    "Not found" for an instance that was launched does not mean that it is gone: EC2 answers so from a replica that
    has not heard of it. It is asked again, and raised when that does not end.
    """
    call(
        EVENTUALLY_CONSISTENT,
        lambda: aws.call(lambda: aws.ec2.terminate_instances(InstanceIds=[instance])),
        when=lambda error: code_of(error) == _UNSEEN,
    )


def console_tail(aws: Aws, instance: str, *, lines: int = 25) -> str:
    """Return the last lines of an instance's serial console; "" when there are none yet."""
    try:
        response = aws.call(lambda: aws.ec2.get_console_output(InstanceId=instance, Latest=True))
    except AwsError as error:
        if code_of(error) != "UnsupportedOperation":  # only Nitro instances give the latest output
            raise
        response = aws.call(lambda: aws.ec2.get_console_output(InstanceId=instance))
    return "\n".join(response.get("Output", "").replace("\r", "").splitlines()[-lines:])


def describe_types(aws: Aws, names: tuple[str, ...]) -> dict[str, TypeFacts]:
    """Return what the region knows of instance types, by name; those that it does not have are left out."""
    by_name: list[FilterTypeDef] = [{"Name": "instance-type", "Values": sorted(set(names))}]
    response = aws.call(lambda: aws.ec2.describe_instance_types(Filters=by_name))["InstanceTypes"]
    offers = aws.call(
        lambda: aws.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=by_name)
    )["InstanceTypeOfferings"]
    return {
        t["InstanceType"]: TypeFacts(
            t["InstanceType"],
            tuple(t["ProcessorInfo"]["SupportedArchitectures"]),
            tuple(sorted(o["Location"] for o in offers if o["InstanceType"] == t["InstanceType"])),
        )
        for t in response
    }


def _instance(response: "InstanceTypeDef") -> Instance:
    reason = response.get("StateReason", {}).get("Message") or response.get("StateTransitionReason", "")
    return Instance(
        response["InstanceId"],
        response["State"]["Name"],
        reason,
        response.get("InstanceType", ""),
        response.get("Placement", {}).get("AvailabilityZone", ""),
        response.get("PublicIpAddress", ""),
        response.get("PrivateIpAddress", ""),
        read_tags(response.get("Tags", [])),
    )
