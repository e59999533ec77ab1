"""The double as an account of a user's: EC2 with instances that boot, Lambda with functions that run, and one file system."""

import functools
import getpass
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devtools.aws_check.account import Account
from devtools.aws_check.commands import Options
from devtools.aws_check.run import Outcome, run_check
from devtools.aws_check.steps import STEPS, Step
from devtools.lambda_sandbox import Bind
from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.lambda_sandbox.fixtures import lambda_runtime
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from tests.builders.commands import wheels
from tests.builders.instance import Instances, require_namespaces
from tests.builders.on_lambda.conftest import QuietHandler
from tests.framework_root import plain_target

__all__ = ["lambda_runtime", "wheels"]
ACCOUNT, REGION = "123456789012", "us-east-1"
# What an account has by itself, or keeps for a while after it was removed.
LISTINGS = (
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_key_pairs", "KeyPairs", "KeyName"),
    ("ec2", "describe_volumes", "Volumes", "VolumeId"),
    ("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
    ("efs", "describe_access_points", "AccessPoints", "AccessPointId"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("lambda", "list_layer_versions", "LayerVersions", "LayerVersionArn"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
)


class OneDisk(dict):
    """Every access point leads to the one folder that stands for the file system."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._bind = Bind(folder, "/mnt/efs", read_only=False)

    def get(self, key: str, default: Any = None) -> Any:
        return self._bind


def _vpc_of(subnets):
    """By moto itself: a request would be counted as one of the check's."""
    from moto.ec2 import ec2_backends

    return ec2_backends[ACCOUNT][REGION].get_subnet(subnets[0]).vpc_id


@dataclass
class World:
    """The account, and a check of it."""

    double: StrictAws
    endpoint: LambdaEndpoint
    instances: Instances
    check: Account
    options: Options
    said: list[str] = field(default_factory=list)

    def run(self, steps: tuple[Step, ...] = STEPS) -> Outcome:
        self.check.folder.mkdir(exist_ok=True)
        return run_check(self.check, self.options, steps, self.said.append)

    def there(self) -> dict[str, set[str]]:
        """What there is in the account, by other means than the check's."""
        found = {}
        for service, listing, what, name in LISTINGS:
            more = {"LayerName": "efsprov-bootstrap"} if listing == "list_layer_versions" else {}
            told = getattr(self.double.client(service, region=REGION), listing)(**more)[what]
            found[listing] = {each[name] for each in told if each.get("State") != "deleted"}
        ec2 = self.double.client("ec2", region=REGION)
        # moto keeps the network interface of a NAT gateway that is deleted; in AWS no subnet with one can be
        interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
        found["interfaces"] = {
            i["NetworkInterfaceId"] for i in interfaces if i["SubnetId"] in found["describe_subnets"]
        }
        instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
        ended = {"shutting-down", "terminated"}
        found["instances"] = {i["InstanceId"] for i in instances if i["State"]["Name"] not in ended}
        found["functions"] = {record.name for record in self.endpoint.functions._records.values()}
        found["machines"] = {i.address for i in self.instances.made if i.process.poll() is None}
        return found


@pytest.fixture(scope="session")
def index(wheels: Path) -> Iterator[str]:
    """The wheels over HTTP, since a function sees no folder of this machine."""
    handler = functools.partial(QuietHandler, directory=str(wheels))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def world(tmp_path: Path, lambda_runtime, index: str) -> Iterator[World]:
    require_namespaces()
    (tmp_path / "instances").mkdir()
    settings = tmp_path / "settings.toml"
    with StrictAws() as double:
        instances = Instances(tmp_path / "instances", double)
        double.ec2.launch_machine = instances.launch
        login = {"user": getpass.getuser(), "ssh_port": instances.port, "address": "192.0.2.7"}
        settings.write_text("[ec2]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in login.items()))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "EFSPROV_CACHE": str(tmp_path / "cache"),
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
            "UV_FIND_LINKS": index,
            "UV_NO_INDEX": "1",
            **double.environment,
        }
        runtimes, disk = {lambda_runtime.name: lambda_runtime}, OneDisk(instances.file_system)
        with LambdaEndpoint(runtimes, mounts=disk, vpc_id=_vpc_of) as endpoint:
            double.answer_by({"lambda": rest_json(endpoint)})
            runtime, arch = plain_target().split("-")
            made = Account(ACCOUNT, REGION, "11261530abcdef", environment, tmp_path / "check", sleep=lambda _: None)
            options = Options("tiny==1.0", "tiny==1.0", "tiny", runtime, arch, settings, patience=0.0)
            yield World(double, endpoint, instances, made, options)
