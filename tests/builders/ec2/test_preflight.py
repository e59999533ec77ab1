"""What cannot work is reported before anything is made; looking changes nothing."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from efsprov.aws.address import address_toward, public_address
from efsprov.aws.session import open_session
from efsprov.builders.ec2.preflight import preflight
from efsprov.core.errors import AwsError, BuilderError, EfsprovError, GateError, UsageError
from efsprov.core.target import Target

TARGET = Target.parse(f"python{sys.version_info[0]}.{sys.version_info[1]}-x86_64")


@pytest.fixture
def inspect(cloud):
    def inspect(target=TARGET, **changes):
        try:
            return preflight(open_session(), cloud.configured(**changes).complete(), target)
        finally:
            changing = ("Run", "Import", "Create", "Authorize", "Delete", "Terminate")
            made = [
                s
                for s in cloud.aws.sent
                if s.action.partition(":")[2].startswith(changing) and s.parameters.get("DryRun") != "true"
            ]
            assert made == []

    return inspect


def test_a_site_is_found(cloud, inspect):
    site = inspect()
    assert [(c.instance_type, c.zone) for c in site.candidates] == [
        (t, z) for t in ("m7i.xlarge", "m6i.xlarge") for z in cloud.zones
    ]
    assert site.groups == (cloud.mount_group,)
    assert site.ingress.block == "192.0.2.7/32"
    assert site.vpc == cloud.vpc


def test_a_type_that_the_region_does_not_have_is_passed_over(inspect):
    assert inspect(instance_types=("m99.tiny", "m6i.xlarge")).candidates[0].instance_type == "m6i.xlarge"


def test_arm_targets_get_arm_images_and_types(inspect):
    site = inspect(Target.parse("python3.13-arm64"), instance_types=())
    assert site.image.arch == "arm64"
    assert site.candidates[0].instance_type.startswith("m7g")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file_system": "fs-00000000"}, "fs-00000000"),
        ({"access_point": "fsap-00000000"}, "fsap-00000000"),
        ({"instance_types": ("m7g.xlarge",)}, "m7g.xlarge is arm64; the target is x86_64"),
        ({"instance_types": ("m99.tiny",)}, "m99.tiny"),
        ({"ami": "ami-00000000"}, "ami-00000000"),
        ({"instance_profile": "nobody"}, "nobody"),
        ({"subnets": ("subnet-00000000",)}, "The subnet ID"),
    ],
)
def test_what_is_wrong_is_named(inspect, changes, words):
    with pytest.raises(EfsprovError, match=words) as caught:
        inspect(**changes)
    assert caught.value.hint


def test_a_python_that_amazon_linux_has_not_is_refused_first(cloud, inspect):
    with pytest.raises(GateError, match=r"no package of Python 3\.10"):
        inspect(Target.parse("python3.10-x86_64"))
    assert cloud.aws.sent == []


def test_a_mount_target_missing_in_the_zone_is_reported_with_the_zones_that_have_one(cloud, inspect):
    other = cloud.aws.client("ec2").create_subnet(
        VpcId=cloud.vpc, CidrBlock="10.9.9.0/24", AvailabilityZone="eu-central-1c"
    )
    subnet = other["Subnet"]["SubnetId"]
    cloud.aws.sent.clear()
    with pytest.raises(BuilderError, match="no mount target in eu-central-1c") as caught:
        inspect(subnets=(subnet,))
    assert "eu-central-1a, eu-central-1b" in caught.value.hint


def test_a_subnet_of_another_vpc_is_refused(cloud, inspect):
    subnet = cloud.aws.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])[
        "Subnets"
    ][0]["SubnetId"]
    with pytest.raises(BuilderError, match="the mount targets"):
        inspect(subnets=(subnet,))


def test_a_file_system_without_mount_targets_is_reported(cloud, inspect):
    bare = cloud.aws.client("efs").create_file_system(CreationToken="bare")["FileSystemId"]
    cloud.aws.sent.clear()
    with pytest.raises(BuilderError, match="no mount target that can be used"):
        inspect(file_system=bare, access_point=None)


def test_an_access_point_of_another_file_system_is_refused(cloud, inspect):
    efs = cloud.aws.client("efs")
    other = efs.create_file_system(CreationToken="other")["FileSystemId"]
    point = efs.create_access_point(ClientToken="other", FileSystemId=other)["AccessPointId"]
    cloud.aws.sent.clear()
    with pytest.raises(BuilderError, match=f"{point} is one of {other}"):
        inspect(access_point=point)


def test_a_mount_target_that_lets_nobody_in_is_reported_with_the_command(cloud, inspect):
    ec2 = cloud.aws.client("ec2")
    rules = ec2.describe_security_groups(GroupIds=[cloud.mount_group])["SecurityGroups"][0]["IpPermissions"]
    ec2.revoke_security_group_ingress(GroupId=cloud.mount_group, IpPermissions=rules)
    cloud.aws.sent.clear()
    with pytest.raises(BuilderError, match="lets no builder in") as caught:
        inspect()
    assert f"authorize-security-group-ingress --group-id {cloud.mount_group}" in caught.value.hint


def test_a_mount_target_that_is_open_to_a_prefix_list_is_a_warning(cloud, inspect):
    ec2 = cloud.aws.client("ec2")
    rules = ec2.describe_security_groups(GroupIds=[cloud.mount_group])["SecurityGroups"][0]["IpPermissions"]
    ec2.revoke_security_group_ingress(GroupId=cloud.mount_group, IpPermissions=rules)
    entries = {
        "PrefixListName": "company",
        "MaxEntries": 1,
        "AddressFamily": "IPv4",
        "Entries": [{"Cidr": "10.0.0.0/8"}],
    }
    name = ec2.create_managed_prefix_list(**entries)["PrefixList"]["PrefixListId"]
    port = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "PrefixListIds": [{"PrefixListId": name}]}
    ec2.authorize_security_group_ingress(GroupId=cloud.mount_group, IpPermissions=[port])
    cloud.aws.sent.clear()
    assert any(name in warning for warning in inspect().warnings)


@pytest.mark.parametrize("keeps", [False, True])
def test_an_endpoint_that_keeps_the_callers_address_needs_a_rule_for_that(cloud, inspect, keeps, tmp_path, monkeypatch):
    (tmp_path / "aws").write_text("#!/bin/sh\n")
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    cloud.aws.ec2.endpoint_keeps_address = keeps
    ingress = inspect(connect="endpoint", address="192.0.2.7").ingress
    assert (ingress.block, ingress.group) == (("192.0.2.7/32", "") if keeps else ("", cloud.aws.ec2.endpoint_group))


def test_a_private_subnet_has_no_public_ingress(cloud, inspect):
    ec2 = cloud.aws.client("ec2")
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [cloud.vpc]}])["RouteTables"][0][
        "RouteTableId"
    ]
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    cloud.aws.sent.clear()
    with pytest.raises(BuilderError, match="no way to an internet gateway") as caught:
        inspect()
    assert "--connect private, endpoint or ssm" in caught.value.hint
    assert inspect(connect="private").ingress.block == "192.0.2.7/32"


def test_a_public_ingress_passes_over_private_subnets(cloud, inspect):
    ec2 = cloud.aws.client("ec2")
    private = ec2.create_route_table(VpcId=cloud.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=private, SubnetId=cloud.subnets[0])
    cloud.aws.sent.clear()
    assert {place.subnet for place in inspect().candidates} == {cloud.subnets[1]}
    assert {place.subnet for place in inspect(connect="private").candidates} == set(cloud.subnets)


def test_programs_that_a_ingress_needs_are_looked_for(inspect, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    for connect in ("ssm", "endpoint"):
        with pytest.raises(UsageError, match="The program aws"):
            inspect(connect=connect)


def test_the_own_address_is_asked_for_and_checked():
    answers = [b"192.0.2.9\n", b"<html>"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers.pop(0))

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert public_address(url) == "192.0.2.9"
        with pytest.raises(AwsError, match="html"):
            public_address(url)
        server.shutdown()
        thread.join()
    with pytest.raises(AwsError, match="could not be found out"):
        public_address(url)
    assert address_toward("127.0.0.1") == "127.0.0.1"
