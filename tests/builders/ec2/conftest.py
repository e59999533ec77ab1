import getpass
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devtools.strict_aws.double import REGION, StrictAws
from efsprov.builders.ec2.builder import Ec2Builder
from efsprov.builders.ec2.launch import Timeouts
from efsprov.builders.ec2.settings import Ec2Settings
from efsprov.builders.ec2.steps import STEPS, Step
from efsprov.core.build import BuildRequest
from efsprov.core.errors import BuilderError
from tests.builders.conftest import LOCK, StandIn
from tests.builders.instance import Instances, require_namespaces

SMALL = Timeouts(boot=60, prepare=60, terminate=60, inspect=0.3)


@dataclass
class Cloud:
    """A region with a file system in two zones, an instance profile, and machines for what is launched."""

    aws: StrictAws
    instances: Instances
    file_system: str
    access_point: str
    vpc: str
    subnets: tuple[str, ...]
    zones: tuple[str, ...]
    mount_group: str
    settings: dict[str, Any] = field(default_factory=dict)

    def configured(self, **changes: Any) -> Ec2Settings:
        return Ec2Settings(**{**self.settings, **changes})

    def builder(self, *, timeouts: Timeouts = SMALL, steps: Sequence[Step] = STEPS, **changes: Any) -> Ec2Builder:
        return Ec2Builder(self.configured(**changes), StandIn(), timeouts=timeouts, steps=steps)

    def left(self) -> list[str]:
        """What of efsprov's is there, by its tags, asked by other means than efsprov's."""
        ec2 = self.aws.client("ec2")
        tagged = [{"Name": "tag-key", "Values": ["efsprov:run"]}]
        groups = ec2.describe_security_groups(Filters=tagged)["SecurityGroups"]
        keys = ec2.describe_key_pairs(Filters=tagged)["KeyPairs"]
        found = [i for r in ec2.describe_instances(Filters=tagged)["Reservations"] for i in r["Instances"]]
        alive = [i["InstanceId"] for i in found if i["State"]["Name"] not in {"terminated", "shutting-down"}]
        running = [i.address for i in self.instances.made if i.process.poll() is None]
        return [*alive, *(g["GroupId"] for g in groups), *(k["KeyName"] for k in keys), *running]


class Failing:
    """A step that does its work and then fails."""

    def __init__(self, step):
        self.title = step.title
        self._step = step

    def run(self, launch):
        self._step.run(launch)
        raise BuilderError("made up")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    require_namespaces()
    with StrictAws() as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own-state"))
        (tmp_path / "instances").mkdir()
        instances = Instances(tmp_path / "instances", aws)
        aws.ec2.launch_machine = instances.launch
        yield make_cloud(aws, instances)


def make_cloud(aws: StrictAws, instances: Instances) -> Cloud:
    ec2, efs, iam = (aws.client(name) for name in ("ec2", "efs", "iam"))
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    zones = (f"{REGION}a", f"{REGION}b")
    subnets = tuple(
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for n, zone in enumerate(zones)
    )
    group = ec2.create_security_group(GroupName="mount-targets", Description="EFS", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": group}]}
        ],
    )
    file_system = efs.create_file_system(CreationToken="efs")["FileSystemId"]
    for subnet in subnets:
        efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet, SecurityGroups=[group])
    access_point = efs.create_access_point(ClientToken="ap", FileSystemId=file_system)["AccessPointId"]
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="efsprov-builder", AssumeRolePolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName="efsprov-builder")
    iam.add_role_to_instance_profile(InstanceProfileName="efsprov-builder", RoleName="efsprov-builder")
    endpoint = {"GroupName": "endpoint", "Description": "EC2 Instance Connect", "VpcId": vpc}
    aws.ec2.endpoint_group = ec2.create_security_group(**endpoint)["GroupId"]
    aws.sent.clear()
    settings = {
        "file_system": file_system,
        "access_point": access_point,
        "instance_profile": "efsprov-builder",
        "address": "192.0.2.7",
        "instance_types": ("m7i.xlarge", "m6i.xlarge"),
        "user": getpass.getuser(),
        "ssh_port": instances.port,
    }
    return Cloud(aws, instances, file_system, access_point, vpc, subnets, zones, group, settings)


@pytest.fixture
def ask() -> Callable[..., BuildRequest]:
    def make(*notes: str, root: str = "/mnt/efs") -> BuildRequest:
        return BuildRequest(
            run=secrets.token_hex(8),
            root=root,
            channel="tiny",
            target=f"python{sys.version_info[0]}.{sys.version_info[1]}-x86_64",
            requirements=("tiny",),
            lock=LOCK % ("0" * 64),
            builder="ec2",
            notes=notes,
        )

    return make


@pytest.fixture
def heard() -> "Heard":
    return Heard()


class Heard(list):
    """What was emitted."""

    def __init__(self):
        super().__init__()
        self.act: Callable[[str], None] | None = None

    def __call__(self, event):
        self.append(event)
        if self.act:
            self.act(event.message)

    @property
    def text(self) -> str:
        return "\n".join(f"{event.state}: {event.message}" for event in self)
