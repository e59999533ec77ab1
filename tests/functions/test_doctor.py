"""One healthy set of facts; each thing that goes wrong for people is one change of it, and one line of the doctor's."""

import dataclasses
from pathlib import Path

import pytest

from efsprov.aws.file_system_details import AccessPointDetails, FileSystemDetails, Lifecycle
from efsprov.aws.filesystems import MountTarget
from efsprov.aws.functions import Mounted
from efsprov.aws.identity import Identity
from efsprov.aws.network import PortRule, Subnet, VpcDns
from efsprov.aws.reachability import Way
from efsprov.functions.channels import ChannelFacts
from efsprov.functions.disk_space import DiskSpace
from efsprov.functions.doctor import examine
from efsprov.functions.facts import Account, Facts, Unread
from tests.functions.conftest import ACCESS_POINT, LAYER

MOUNT, WRITE = "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"
POINT = AccessPointDetails("fsap-1", ACCESS_POINT, "fs-1", "available", "/efsprov", 1000, 1000, 1000, "755")
DISK = FileSystemDetails("fs-1", "arn", "available", "elastic", 5 << 30)
TARGET_A = MountTarget("fsmt-a", "subnet-1", "eu-1a", "10.0.1.5", "available", ("sg-efs",))
TARGET_B = MountTarget("fsmt-b", "subnet-2", "eu-1b", "10.0.2.5", "available", ("sg-efs",))
SUBNETS = {
    "subnet-1": Subnet("subnet-1", "vpc-1", "eu-1a", "10.0.1.0/24"),
    "subnet-2": Subnet("subnet-2", "vpc-1", "eu-1b", "10.0.2.0/24"),
}
S3_FILES = "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1/access-point/fsap-1"
VARIABLES = {"EFSPROV_ROOT": "/mnt/efs", "EFSPROV_CHANNEL": "tf"}
CHANNEL = ChannelFacts(name="tf", target="python3.11-x86_64", current="20261121T063000Z-3f2a9c1b", bytes=1_600_000_000)


@pytest.fixture
def healthy(function):
    return Facts(
        identity=Identity("123456789012", "arn:aws:iam::123456789012:user/u"),
        function=function(
            mounted=(Mounted(ACCESS_POINT, "/mnt/efs"),), variables=VARIABLES, layers=(LAYER,), subnets=tuple(SUBNETS)
        ),
        access_point=POINT,
        file_system=DISK,
        lifecycle=Lifecycle("", "", ""),
        policy={"Statement": []},
        mount_targets=(TARGET_A, TARGET_B),
        subnets=SUBNETS,
        egress=(PortRule("sg-1", 0, 65535, ("0.0.0.0/0",)),),
        ingress=(PortRule("sg-efs", 2049, 2049, (), ("sg-1",)),),
        permissions={MOUNT: True, WRITE: False},
        channels=(CHANNEL,),
        wanted_channels=("tf",),
        disk_space=DiskSpace(1 << 40, 1000, "755", writable=False),
        account=Account(1_000_000, 75_000_000_000, 990),
    )


@pytest.fixture
def builder(healthy):
    return dataclasses.replace(
        healthy,
        builder=True,
        function=dataclasses.replace(healthy.function, timeout=900, memory=10_240, tmp=10_240, variables={}),
        permissions={MOUNT: True, WRITE: True},
        ways=(Way("subnet-1", "nat"), Way("subnet-2", "nat")),
    )


def output(facts, *levels):
    return [(f.check, f.level) for f in examine(facts) if f.level in (levels or ("problem", "warning", "unknown"))]


def test_a_healthy_function_and_builder_have_nothing(healthy, builder):
    assert output(healthy) == []
    assert output(builder) == []
    assert len(examine(healthy)) >= 15


FUNCTION = {
    "no vpc": ({"subnets": (), "groups": ()}, ("VPC", "problem")),
    "wrong architecture": ({"arch": "arm64"}, ("target", "problem")),
    "wrong runtime": ({"runtime": "python3.13"}, ("target", "problem")),
    "no file system": ({"mounted": ()}, ("mount path", "problem")),
    "files of S3": ({"mounted": (Mounted(S3_FILES, "/mnt/efs"),)}, ("mount path", "problem")),
    "another mount path": ({"mounted": (Mounted(ACCESS_POINT, "/mnt/data"),)}, ("mount path", "problem")),
    "no layer": ({"layers": ()}, ("shim", "warning")),
    "no variables": ({"variables": {}}, ("variables", "problem")),
    "short timeout": ({"timeout": 3}, ("timeout", "warning")),
    "little memory": ({"memory": 512}, ("memory", "warning")),
    "snap start": ({"snap_start": True}, ("SnapStart", "problem")),
    "large package": ({"code_size": 250_000_000}, ("package size", "warning")),
    "failed update": ({"update": "Failed", "reason": "no address"}, ("function", "problem")),
    "pending": ({"update": "InProgress"}, ("function", "warning")),
}


@pytest.mark.parametrize("case", FUNCTION)
def test_what_is_wrong_with_a_function(healthy, case):
    fields, expected = FUNCTION[case]
    assert output(dataclasses.replace(healthy, function=dataclasses.replace(healthy.function, **fields))) == [expected]


FACTS = {
    "no credentials": ({"identity": Unread("no credentials")}, ("credentials", "problem")),
    "file system goes": ({"file_system": dataclasses.replace(DISK, state="deleting")}, ("file system", "problem")),
    "bursting": ({"file_system": dataclasses.replace(DISK, throughput="bursting")}, ("throughput mode", "warning")),
    "access point goes": ({"access_point": dataclasses.replace(POINT, state="deleting")}, ("access point", "problem")),
    "path is not made": ({"access_point": dataclasses.replace(POINT, owner_uid=None)}, ("access point", "warning")),
    "no user": ({"access_point": dataclasses.replace(POINT, uid=None)}, ("access point user", "warning")),
    "another owner": ({"disk_space": DiskSpace(1 << 40, 0, "755", writable=False)}, ("access point user", "problem")),
    "no target in a zone": ({"mount_targets": (TARGET_A,)}, ("mount targets", "problem")),
    "target is not ready": (
        {"mount_targets": (TARGET_A, dataclasses.replace(TARGET_B, state="creating"))},
        ("mount targets", "problem"),
    ),
    "nothing out": ({"egress": ()}, ("security group, out", "problem")),
    "only https out": ({"egress": (PortRule("sg-1", 443, 443, ("0.0.0.0/0",)),)}, ("security group, out", "problem")),
    "out to one zone": (
        {"egress": (PortRule("sg-1", 2049, 2049, ("10.0.1.0/24",)),)},
        ("security group, out", "problem"),
    ),
    "out to a prefix list": (
        {"egress": (PortRule("sg-1", 2049, 2049, unread=("pl-1",)),)},
        ("security group, out", "unknown"),
    ),
    "in from a prefix list": (
        {"ingress": (PortRule("sg-efs", 2049, 2049, unread=("2001:db8::/32",)),)},
        ("security group, in", "unknown"),
    ),
    "nothing in": ({"ingress": ()}, ("security group, in", "problem")),
    "in from another group": (
        {"ingress": (PortRule("sg-efs", 2049, 2049, (), ("sg-x",)),)},
        ("security group, in", "problem"),
    ),
    "in from half a subnet": (
        {"ingress": (PortRule("sg-efs", 2049, 2049, ("10.0.1.0/25", "10.0.2.0/24")),)},
        ("security group, in", "problem"),
    ),
    "may not mount": ({"permissions": {MOUNT: False, WRITE: False}}, ("role's permissions", "warning")),
    "nothing reserved": ({"reserved": 0}, ("reserved concurrency", "problem")),
    "no names": ({"dns": VpcDns("vpc-1", support=True, hostnames=False)}, ("VPC DNS", "warning")),
    "no DNS": ({"dns": VpcDns("vpc-1", support=False, hostnames=True)}, ("VPC DNS", "warning")),
    "few credits": ({"burst_credits": float(90 << 30)}, ("burst credits", "warning")),
    "may write": ({"permissions": {MOUNT: True, WRITE: True}}, ("role's permissions", "warning")),
    "no policy": ({"policy": None}, ("file system policy", "warning")),
    "files move away": ({"lifecycle": Lifecycle("AFTER_30_DAYS", "", "")}, ("lifecycle policy", "problem")),
    "files come back": (
        {"lifecycle": Lifecycle("AFTER_30_DAYS", "", "AFTER_1_ACCESS")},
        ("lifecycle policy", "warning"),
    ),
    "no room": ({"disk_space": DiskSpace(1_000_000, 1000, "755", writable=False)}, ("free space", "problem")),
    "quota": ({"account": Account(74_000_000_000, 75_000_000_000, 990)}, ("Lambda quotas", "warning")),
    "no concurrency": ({"account": Account(0, 75_000_000_000, 1)}, ("Lambda quotas", "warning")),
    "no such channel": ({"wanted_channels": ("torch",)}, ("target", "problem")),
}


@pytest.mark.parametrize("case", FACTS)
def test_what_is_wrong_around_a_function(healthy, case):
    fields, expected = FACTS[case]
    assert output(dataclasses.replace(healthy, **fields)) == [expected]


BUILDER = {
    "may not write": ({"permissions": {MOUNT: True, WRITE: False}}, ("role's permissions", "warning")),
    "one at a time": ({"reserved": 1}, ("reserved concurrency", "warning")),
    "no way out": ({"ways": (Way("subnet-1", ""),)}, ("way to the index", "warning")),
    "public subnet": ({"ways": (Way("subnet-1", "internet"),)}, ("way to the index", "warning")),
}


@pytest.mark.parametrize("case", BUILDER)
def test_what_is_wrong_with_the_builder(builder, case):
    fields, expected = BUILDER[case]
    assert output(dataclasses.replace(builder, **fields)) == [expected]


@pytest.mark.parametrize("fields", [{"timeout": 60}, {"memory": 1024}, {"tmp": 512}])
def test_limits_of_the_builder(builder, fields):
    assert output(dataclasses.replace(builder, function=dataclasses.replace(builder.function, **fields))) == [
        ("limits", "warning")
    ]


@pytest.mark.parametrize(
    ("field", "check"),
    [
        ("function", "function"),
        ("access_point", "access point"),
        ("file_system", "file system"),
        ("lifecycle", "lifecycle policy"),
        ("policy", "file system policy"),
        ("mount_targets", "mount targets"),
        ("subnets", "mount targets"),
        ("egress", "security group, out"),
        ("ingress", "security group, in"),
        ("permissions", "role's permissions"),
        ("channels", "target"),
        ("disk_space", "free space"),
        ("account", "Lambda quotas"),
        ("ways", "way out"),
        ("builder_unread", "function's tags"),
        ("reserved", "reserved concurrency"),
        ("dns", "VPC DNS"),
        ("burst_credits", "burst credits"),
    ],
)
def test_what_may_not_be_read_is_said_and_the_rest_is_checked(healthy, field, check):
    findings = examine(dataclasses.replace(healthy, **{field: Unread("Access denied: it.")}))
    assert [(f.check, f.message) for f in findings if f.level == "unknown"] == [(check, "Access denied: it.")]
    assert [f for f in findings if f.level == "problem"] == []
    assert len([f for f in findings if f.level == "ok"]) >= 7


def test_every_problem_and_warning_has_a_remediation(healthy, builder):
    for facts, cases in ((healthy, FACTS), (builder, BUILDER)):
        for fields, _ in cases.values():
            for finding in examine(dataclasses.replace(facts, **fields)):
                assert finding.level in {"ok", "unknown"} or finding.remediation, finding


def test_roles_do_not_count_where_the_file_system_has_no_policy(healthy, builder):
    for facts in (healthy, builder):
        found = output(dataclasses.replace(facts, policy=None, permissions={MOUNT: False, WRITE: False}))
        assert found == [("file system policy", "warning")]


def test_enough_is_said_too(healthy):
    fields = {"reserved": 10, "dns": VpcDns("vpc-1", support=True, hostnames=True), "burst_credits": float(2 << 40)}
    found = output(dataclasses.replace(healthy, **fields), "ok")
    assert {("reserved concurrency", "ok"), ("VPC DNS", "ok"), ("burst credits", "ok")} <= set(found)


def test_without_a_function_the_file_system_is_checked(healthy):
    found = output(Facts(identity=healthy.identity, access_point=POINT, file_system=DISK), "ok")
    assert ("file system", "ok") in found
    assert ("access point", "ok") in found


def test_the_reference_lists_every_check_with_its_levels(healthy, builder):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "doctor.md").read_text()
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")
    ]
    listed = {
        (check, level)
        for check, *cells in rows
        for level, cell in zip(("problem", "warning"), cells, strict=True)
        if cell
    }
    cases = [(healthy, fields) for fields, _ in FACTS.values()] + [(builder, fields) for fields, _ in BUILDER.values()]
    cases += [
        (healthy, {"function": dataclasses.replace(healthy.function, **fields)}) for fields, _ in FUNCTION.values()
    ]
    cases += [
        (builder, {"function": dataclasses.replace(builder.function, timeout=60)}),
        (healthy, {"access_point": dataclasses.replace(POINT, owner_uid=0), "disk_space": None}),
    ]
    found = {
        pair for facts, fields in cases for pair in output(dataclasses.replace(facts, **fields), "problem", "warning")
    }
    assert found == listed
    assert {check for check, _ in output(healthy, "ok")} | {check for check, _ in output(builder, "ok")} <= {
        row[0] for row in rows
    }
