"""Machine images: Amazon Linux 2023 by its public parameter, or any by its id."""

from dataclasses import dataclass
from typing import Literal

from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError

Arch = Literal["x86_64", "arm64"]
_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{arch}"


@dataclass(frozen=True)
class Image:
    """A machine image; ``root_gib`` is the least size of its root volume, ``root_device`` that volume's name."""

    id: str
    arch: str
    root_device: str
    root_gib: int


def latest_amazon_linux(aws: Aws, arch: Arch) -> str:
    """Return the id of the newest Amazon Linux 2023 image for an architecture, in the region."""
    name = _PARAMETER.format(arch=arch)
    return aws.call(lambda: aws.ssm.get_parameter(Name=name))["Parameter"]["Value"]


def describe_image(aws: Aws, image: str) -> Image:
    """Return an image; raises ``AwsError`` when there is none of that id, or it has no EBS root volume."""
    found = aws.call(lambda: aws.ec2.describe_images(ImageIds=[image]))["Images"]
    if not found:
        raise AwsError(
            f"There is no image {image} in {aws.region}.",
            hint="AMI ids differ by region: leave [ec2] ami out for Amazon Linux.",
        )
    response = found[0]
    device = response.get("RootDeviceName", "")
    volumes = [
        m["Ebs"] for m in response.get("BlockDeviceMappings", []) if m.get("DeviceName") == device and "Ebs" in m
    ]
    if not volumes:
        raise AwsError(f"The image {image} has no EBS root volume.", hint="Leave [ec2] ami out for Amazon Linux 2023.")
    return Image(image, response.get("Architecture", ""), device, volumes[0].get("VolumeSize", 8))
