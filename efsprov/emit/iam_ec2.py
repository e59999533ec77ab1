"""The IAM policies around EC2 builders."""

from typing import Final

from efsprov.core.partition import ec2_principal
from efsprov.core.tags import EXPIRES, MARKED, RUN
from efsprov.emit.iam_document import Document, Scope, allow, document, hand_the_role, mount

_READS: Final = (  # none of these can be narrowed to a resource
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    # DescribeMountTargetSecurityGroups asks it of the caller: botocore's model of EFS says so in that operation's text.
    "ec2:DescribeNetworkInterfaceAttribute",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
)
_OPEN: Final = "ec2:AuthorizeSecurityGroupIngress"
_CREATING: Final = ("AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "ImportKeyPair", "RunInstances")
_BORN_TAGGED: Final = (
    *("instance", "key-pair", "network-interface", "security-group"),
    *("security-group-rule", "spot-instances-request", "volume"),
)


def orchestrator_policy(scope: Scope) -> Document:
    """Return what whoever runs `efsprov sync --builder ec2` and `efsprov reap` has to be allowed."""
    tagged, run = {"Null": {f"aws:ResourceTag/{RUN}": "false"}}, {f"aws:RequestTag/{RUN}": "false"}
    born = {"Null": {**run, f"aws:RequestTag/{EXPIRES}": "false"}}
    run_instances = "ec2:RunInstances"
    key = scope.arn("ec2", "key-pair/efsprov-*")
    return document(
        allow("Look", _READS, ["*"], scope.here),
        allow(
            "LookAtTheFileSystem",
            [
                "elasticfilesystem:DescribeFileSystems",
                "elasticfilesystem:DescribeMountTargetSecurityGroups",
                "elasticfilesystem:DescribeMountTargets",
            ],
            [scope.file_system_arn],
        ),
        *(
            [allow("LookAtTheAccessPoint", ["elasticfilesystem:DescribeAccessPoints"], [scope.access_point_arn])]
            if scope.access_point
            else []
        ),
        allow(
            "FindAmazonLinux",
            ["ssm:GetParameter"],
            [scope.arn("ssm", "parameter/aws/service/ami-amazon-linux-latest/*", account="")],
        ),
        allow("TellWhyAccessIsDenied", ["sts:DecodeAuthorizationMessage"], ["*"]),
        allow("ImportTaggedKeys", ["ec2:ImportKeyPair"], [key], born),
        allow("CreateTaggedGroups", ["ec2:CreateSecurityGroup"], scope.ec2("security-group"), born),
        allow("CreateThemInVpcs", ["ec2:CreateSecurityGroup"], scope.ec2("vpc")),
        *(
            [
                allow("OpenThePortOfOwnGroups", [_OPEN], scope.ec2("security-group"), tagged),
                allow("TagTheRule", [_OPEN], scope.ec2("security-group-rule"), born),
            ]
            if scope.connect != "ssm"  # which needs no open port
            else []
        ),
        allow(
            "LaunchTaggedInstances",
            [run_instances],
            scope.ec2("instance"),
            {
                "Null": run,
                "StringEquals": {"ec2:MetadataHttpTokens": "required"},
                "NumericEquals": {"ec2:MetadataHttpPutResponseHopLimit": "1"},
            },
        ),
        allow(
            "WithEncryptedVolumes",
            [run_instances],
            scope.ec2("volume"),
            {"Null": run, "Bool": {"ec2:Encrypted": "true"}},
        ),
        allow(
            "WithTaggedParts", [run_instances], scope.ec2("network-interface", "spot-instances-request"), {"Null": run}
        ),
        allow("InSubnetsWithGroupsAndKeys", [run_instances], [*scope.ec2("subnet", "security-group"), key]),
        allow("FromImages", [run_instances], [scope.arn("ec2", "image/*", account="")]),
        hand_the_role(scope, ec2_principal(scope.partition)),
        allow(
            "TagAtBirth",
            ["ec2:CreateTags"],
            scope.ec2(*_BORN_TAGGED),
            {"StringEquals": {"ec2:CreateAction": list(_CREATING)}},
        ),
        allow(
            "MarkLeftovers",
            ["ec2:CreateTags"],
            scope.ec2("instance", "key-pair", "security-group"),
            {**tagged, "ForAllValues:StringEquals": {"aws:TagKeys": [MARKED]}},
        ),
        allow(
            "EndAndReadOwnInstances", ["ec2:GetConsoleOutput", "ec2:TerminateInstances"], scope.ec2("instance"), tagged
        ),
        allow("RemoveOwnGroups", ["ec2:DeleteSecurityGroup"], scope.ec2("security-group"), tagged),
        allow("RemoveOwnKeys", ["ec2:DeleteKeyPair"], [key], tagged),
        *_ingress(scope),
    )


def builder_policy(scope: Scope) -> Document:
    """Return what the builder instance has to be allowed: to mount and write the file system, and nothing else."""
    actions = ["Mount", "Write"]
    if not scope.access_point:
        actions.append("RootAccess")  # to give the root's folder to the user that builds
    statements = [mount(scope, *actions, condition={"elasticfilesystem:AccessedViaMountTarget": "true"})]
    if scope.connect == "ssm":
        channels = [f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")]
        statements.append(allow("AnswerToSystemsManager", ["ssm:UpdateInstanceInformation", *channels], ["*"]))
    return document(*statements)


def _ingress(scope: Scope) -> list[Document]:
    if scope.connect == "ssm":
        session = scope.arn("ssm", "document/AWS-StartSSHSession", account="")
        return [
            allow(
                "ReachOwnInstances",
                ["ssm:StartSession"],
                scope.ec2("instance"),
                {"Null": {f"ssm:resourceTag/{RUN}": "false"}},
            ),
            allow("BySsh", ["ssm:StartSession"], [session]),
            # The plugin opens the data channel of its own session, which is named after the caller
            # (https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html, 2026-11-26).
            allow("OpenOwnSessions", ["ssmmessages:OpenDataChannel"], [scope.arn("ssm", "session/${aws:userid}-*")]),
        ]
    if scope.connect == "endpoint":
        port = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}
        return [
            allow("FindTheEndpoint", ["ec2:DescribeInstanceConnectEndpoints"], ["*"], scope.here),
            allow("ReachPort22", ["ec2-instance-connect:OpenTunnel"], scope.ec2("instance-connect-endpoint"), port),
        ]
    return []
