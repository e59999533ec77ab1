# ruff: noqa: N803 - operations take boto3's own parameter names
"""What the doctor reads, from services that answer boto3: EC2 by moto, EFS and Lambda by endpoints of our own."""

import datetime as dt

import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.lambda_sandbox.rest_json import RestJsonServer, ServiceError
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from efsprov.aws.burst_credits import read_burst_credits
from efsprov.aws.functions import FunctionConfig
from efsprov.functions.channels import stated_channels
from efsprov.functions.collect import Question, collect
from efsprov.functions.doctor import examine
from efsprov.functions.facts import Unread
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ON_EFS, ROLE, client, zipped
from tests.local_aws import local_aws

POINT = ACCESS_POINT.rpartition("/")[2]


class Disk:
    """A file system of EFS with one mount target."""

    def __init__(self, subnet, zone, group):
        self._subnet, self._zone, self._group = subnet, zone, group

    def describe_access_points(self, *, AccessPointId):
        folder = {"Path": "/efsprov", "CreationInfo": {"OwnerUid": 7, "OwnerGid": 7, "Permissions": "750"}}
        point = {"AccessPointId": AccessPointId, "AccessPointArn": ACCESS_POINT, "FileSystemId": "fs-0123456789abcdef0"}
        return {
            "AccessPoints": [
                point | {"PosixUser": {"Uid": 7, "Gid": 7}, "RootDirectory": folder, "LifeCycleState": "available"}
            ]
        }

    def describe_file_systems(self, *, FileSystemId):
        made = {"OwnerId": "1", "CreationToken": "t", "CreationTime": 1, "NumberOfMountTargets": 1, "Tags": []}
        result = {"FileSystemId": FileSystemId, "LifeCycleState": "available", "PerformanceMode": "generalPurpose"}
        return {"FileSystems": [made | result | {"ThroughputMode": "elastic", "SizeInBytes": {"Value": 9}}]}

    def describe_lifecycle_configuration(self, *, FileSystemId):
        return {
            "LifecyclePolicies": [
                {"TransitionToIA": "AFTER_30_DAYS"},
                {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
            ]
        }

    def describe_file_system_policy(self, *, FileSystemId):
        raise ServiceError("PolicyNotFound", "none")

    def describe_mount_targets(self, *, FileSystemId="fs-0123456789abcdef0", MountTargetId=None):
        target = {
            "MountTargetId": "fsmt-0123456789abcdef0",
            "FileSystemId": "fs-0123456789abcdef0",
            "SubnetId": self._subnet,
        }
        return {
            "MountTargets": [
                target | {"LifeCycleState": "available", "IpAddress": "10.0.0.9", "AvailabilityZoneName": self._zone}
            ]
        }

    def describe_mount_target_security_groups(self, *, MountTargetId):
        return {"SecurityGroups": [self._group]}


@pytest.fixture
def double():
    with StrictAws() as double:
        yield double


@pytest.fixture
def network(double):
    """A VPC with a subnet, and a group for each side; NFS is let in from the function's."""
    ec2 = double.client("ec2", region="us-east-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    ours, theirs = (
        ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"] for n in ("ours", "efs")
    )
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": ours}]}
    ec2.authorize_security_group_ingress(GroupId=theirs, IpPermissions=[rule])
    return ec2, vpc, subnet["SubnetId"], ours, theirs


@pytest.fixture
def aws(double, network):
    _, vpc_id, subnet, ours, theirs = network
    with (
        LambdaEndpoint({}, vpc_id=vpc_id) as functions,
        RestJsonServer("efs", Disk(subnet, "us-east-1a", theirs)) as disk,
    ):
        settings = {"Runtime": "python3.11", "Role": ROLE, "Handler": "h.h", "Tags": {"efsprov:builder": "yes"}}
        vpc = {"VpcConfig": {"SubnetIds": [subnet], "SecurityGroupIds": [ours]}}
        client(functions).create_function(
            FunctionName="f", Code={"ZipFile": zipped(h="")}, **settings, **(ON_EFS | vpc)
        )
        double.answer_by({"lambda": rest_json(functions), "efs": rest_json(disk)})
        closed = "http://127.0.0.1:9"
        yield local_aws(**dict.fromkeys(("lambda", "efs", "ec2", "sts"), double.url), iam=closed)


def test_what_there_is_to_know_is_found(aws, network):
    question = Question(
        function="f", channels=("tf",), inspect_root=lambda: (stated_channels(["tf"], "python3.11-x86_64"), None)
    )
    facts = collect(aws, question)
    assert isinstance(facts.function, FunctionConfig)
    assert facts.builder
    assert facts.access_point.id == POINT
    assert (facts.access_point.uid, facts.access_point.mode) == (7, "750")
    assert facts.lifecycle.back == "AFTER_1_ACCESS"
    assert facts.policy is None
    assert not isinstance(facts.mount_targets, Unread), facts.mount_targets
    assert [target.zone for target in facts.mount_targets] == ["us-east-1a"]
    assert facts.subnets[network[2]].zone == "us-east-1a"
    assert any(rule.last == 65535 for rule in facts.egress)
    assert [(rule.first, rule.groups) for rule in facts.ingress] == [(2049, (network[3],))]
    assert [way.leads for way in facts.ways] == [""]
    assert (facts.dns.vpc, facts.dns.support, facts.dns.hostnames) == (network[1], True, False)
    assert facts.reserved is None
    assert facts.burst_credits is None
    assert isinstance(facts.permissions, Unread)
    assert facts.account.concurrency == 1000
    assert facts.channels[0].name == "tf"
    levels = {finding.check: finding.level for finding in examine(facts)}
    assert levels["credentials"] == levels["mount targets"] == "ok"
    assert levels["security group, out"] == levels["security group, in"] == "ok"
    assert levels["way to the index"] == levels["lifecycle policy"] == levels["file system policy"] == "warning"
    assert levels["role's permissions"] == "ok"  # no policy asks for them


def test_the_least_burst_credits_of_the_last_hour_are_found(double):
    aws, now = local_aws(cloudwatch=double.url), dt.datetime.now(dt.UTC)
    cloudwatch = double.client("cloudwatch", region="us-east-1")
    assert read_burst_credits(aws, "fs-1", now=now) is None
    for file_system, minutes, value in (("fs-1", 20, 5e12), ("fs-1", 10, 4e12), ("fs-1", 90, 1.0), ("fs-2", 5, 2.0)):
        data = {
            "MetricName": "BurstCreditBalance",
            "Dimensions": [{"Name": "FileSystemId", "Value": file_system}],
            "Timestamp": now - dt.timedelta(minutes=minutes),
            "Value": value,
        }
        cloudwatch.put_metric_data(Namespace="AWS/EFS", MetricData=[data])
    assert read_burst_credits(aws, "fs-1", now=now) == 4e12


def test_a_way_out_through_a_gateway_and_a_closed_group_are_found(aws, network):
    ec2, vpc, _, ours, _ = network
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=ours, IpPermissions=[everything])
    facts = collect(aws, Question(function="f"))
    assert [way.leads for way in facts.ways] == ["internet"]
    assert {f.check: f.level for f in examine(facts)}["security group, out"] == "problem"


def test_what_is_not_there_stops_nothing(aws):
    facts = collect(aws, Question(function="none", access_point="fsap-0123456789abcdef1"))
    assert isinstance(facts.function, Unread)
    assert facts.file_system.state == "available"
    assert {f.check: f.level for f in examine(facts)}["function"] == "unknown"
