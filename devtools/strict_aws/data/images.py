"""Writes images.json and image_regions.json: each region's newest Amazon Linux 2023, as moto knows it, and whose it is.

usage: python -m devtools.strict_aws.data.images

Moto makes every image that it knows again at every reset, each with a volume and a snapshot: 1,290 a region.
"""

import json
from pathlib import Path

import moto
from moto.utilities.utils import load_resource

HERE = Path(__file__).parent
KEPT = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"


def main() -> None:
    images, regions = [], {}
    for file in sorted((Path(moto.__file__).parent / "ssm/resources/ami-amazon-linux-latest").glob("*.json*")):
        region = file.name.partition(".")[0]
        named = load_resource(f"ssm/resources/ami-amazon-linux-latest/{region}.json")
        newest = {each["Value"] for each in named if each["Name"].startswith(KEPT)}
        for image in load_resource(f"ec2/resources/latest_amis/{region}.json"):
            if image["ami_id"] in newest:
                images.append({name: value for name, value in image.items() if name != "creation_date"})
                regions[image["ami_id"]] = region
    (HERE / "images.json").write_text("[\n" + ",\n".join(json.dumps(i, sort_keys=True) for i in images) + "\n]\n")
    (HERE / "image_regions.json").write_text(json.dumps(regions, indent=0) + "\n")


if __name__ == "__main__":
    main()
