import dataclasses

import pytest

from efsprov.aws.functions import FunctionConfig, Mounted

ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:efsprov-bootstrap:3"
OTHER_LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:powertools:1"


@pytest.fixture
def function():
    """Makes a user's function, as it is configured."""
    plain = FunctionConfig(
        name="f",
        arn="arn:aws:lambda:us-east-1:123456789012:function:f",
        revision="r1",
        package="Zip",
        runtime="python3.11",
        arch="x86_64",
        role="arn:aws:iam::123456789012:role/r",
        memory=3008,
        tmp=512,
        timeout=60,
        variables={"MINE": "1"},
        layers=(OTHER_LAYER,),
        mounted=(),
        subnets=("subnet-1",),
        groups=("sg-1",),
        vpc="vpc-1",
        code_sha256="",
        code_size=1000,
        layer_sizes=(1000,),
        snap_start=False,
        state="Active",
        update="Successful",
        reason="",
    )
    return lambda **fields: dataclasses.replace(plain, **fields)


def after(function, changes):
    """The function once UpdateFunctionConfiguration has taken effect."""
    fields = {}
    if "FileSystemConfigs" in changes:
        fields["mounted"] = tuple(Mounted(m["Arn"], m["LocalMountPath"]) for m in changes["FileSystemConfigs"])
    if "Layers" in changes:
        fields["layers"] = tuple(changes["Layers"])
    if "Environment" in changes:
        fields["variables"] = changes["Environment"]["Variables"]
    if "VpcConfig" in changes:
        fields["subnets"] = tuple(changes["VpcConfig"]["SubnetIds"])
        fields["groups"] = tuple(changes["VpcConfig"]["SecurityGroupIds"])
    return dataclasses.replace(function, **fields)
