"""The IAM policies that EC2 builders need, as narrow as AWS allows: text from data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from efsprov.core.tags import EXPIRES, MARKED, RUN

Document = Mapping[str, Any]
_VERSION: Final = "2012-10-17"
_LOOKS: Final = (  # none of these can be narrowed to a resource
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
)
_CREATING: Final = ("AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "ImportKeyPair", "RunInstances")
_BORN_TAGGED: Final = (
    *("instance", "key-pair", "network-interface", "security-group"),
    *("security-group-rule", "spot-instances-request", "volume"),
)


@dataclass(frozen=True)
class Scope:
    """What the policies are for. ``role`` is the name of the builder's role; ``connect`` how the builder is reached."""

    account: str
    region: str
    file_system: str
    access_point: str | None = None
    role: str = "efsprov-builder"
    connect: Literal["public", "private", "endpoint", "ssm"] = "public"
    partition: str = "aws"

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a resource, of this account and region unless others are named."""
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.account if account is None else account}:{resource}"

    def ec2(self, *kinds: str) -> list[str]:
        """Return the ARNs of all EC2 resources of some kinds."""
        return [self.arn("ec2", f"{kind}/*") for kind in kinds]


def policies(scope: Scope) -> dict[str, str]:
    """Return the policies as the contents of JSON files, by the files' names."""
    documents = {
        "orchestrator-policy.json": orchestrator_policy(scope),
        "builder-policy.json": builder_policy(scope),
        "builder-trust-policy.json": builder_trust_policy(),
    }
    return {name: f"{json.dumps(document, indent=2)}\n" for name, document in documents.items()}


def orchestrator_policy(scope: Scope) -> Document:
    """Return what whoever runs `efsprov sync --builder ec2` and `efsprov reap` has to be allowed."""
    here = {"StringEquals": {"aws:RequestedRegion": scope.region}}
    tagged, run = {"Null": {f"aws:ResourceTag/{RUN}": "false"}}, {f"aws:RequestTag/{RUN}": "false"}
    born = {"Null": {**run, f"aws:RequestTag/{EXPIRES}": "false"}}
    run_instances = "ec2:RunInstances"
    key = scope.arn("ec2", "key-pair/efsprov-*")
    return _document(
        _allow("Look", _LOOKS, ["*"], here),
        _allow(
            "LookAtTheFileSystem",
            [
                "elasticfilesystem:DescribeFileSystems",
                "elasticfilesystem:DescribeMountTargetSecurityGroups",
                "elasticfilesystem:DescribeMountTargets",
            ],
            [_file_system(scope)],
        ),
        *(
            [_allow("LookAtTheAccessPoint", ["elasticfilesystem:DescribeAccessPoints"], [_access_point(scope)])]
            if scope.access_point
            else []
        ),
        _allow(
            "FindAmazonLinux",
            ["ssm:GetParameter"],
            [scope.arn("ssm", "parameter/aws/service/ami-amazon-linux-latest/*", account="")],
        ),
        _allow("TellWhyAccessIsDenied", ["sts:DecodeAuthorizationMessage"], ["*"]),
        _allow("ImportTaggedKeys", ["ec2:ImportKeyPair"], [key], born),
        _allow("CreateTaggedGroups", ["ec2:CreateSecurityGroup"], scope.ec2("security-group"), born),
        _allow("CreateThemInVpcs", ["ec2:CreateSecurityGroup"], scope.ec2("vpc")),
        _allow("OpenThePortOfOwnGroups", ["ec2:AuthorizeSecurityGroupIngress"], scope.ec2("security-group"), tagged),
        _allow("TagTheRule", ["ec2:AuthorizeSecurityGroupIngress"], scope.ec2("security-group-rule"), born),
        _allow(
            "LaunchTaggedInstances",
            [run_instances],
            scope.ec2("instance"),
            {
                "Null": run,
                "StringEquals": {"ec2:MetadataHttpTokens": "required"},
                "NumericEquals": {"ec2:MetadataHttpPutResponseHopLimit": "1"},
            },
        ),
        _allow(
            "WithEncryptedVolumes",
            [run_instances],
            scope.ec2("volume"),
            {"Null": run, "Bool": {"ec2:Encrypted": "true"}},
        ),
        _allow(
            "WithTaggedParts", [run_instances], scope.ec2("network-interface", "spot-instances-request"), {"Null": run}
        ),
        _allow("InSubnetsWithGroupsAndKeys", [run_instances], [*scope.ec2("subnet", "security-group"), key]),
        _allow("FromImages", [run_instances], [scope.arn("ec2", "image/*", account="")]),
        _allow(
            "HandTheRoleToTheInstance",
            ["iam:PassRole"],
            [_role(scope)],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        _allow(
            "TagAtBirth",
            ["ec2:CreateTags"],
            scope.ec2(*_BORN_TAGGED),
            {"StringEquals": {"ec2:CreateAction": list(_CREATING)}},
        ),
        _allow(
            "MarkLeftovers",
            ["ec2:CreateTags"],
            scope.ec2("instance", "key-pair", "security-group"),
            {**tagged, "ForAllValues:StringEquals": {"aws:TagKeys": [MARKED]}},
        ),
        _allow(
            "EndAndReadOwnInstances", ["ec2:GetConsoleOutput", "ec2:TerminateInstances"], scope.ec2("instance"), tagged
        ),
        _allow("RemoveOwnGroups", ["ec2:DeleteSecurityGroup"], scope.ec2("security-group"), tagged),
        _allow("RemoveOwnKeys", ["ec2:DeleteKeyPair"], [key], tagged),
        *_way_in(scope, here),
    )


def builder_policy(scope: Scope) -> Document:
    """Return what the builder instance has to be allowed: to mount and write the file system, and nothing else."""
    condition: dict[str, Any] = {
        "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true", "aws:SecureTransport": "true"}
    }
    if scope.access_point:
        condition["StringEquals"] = {"elasticfilesystem:AccessPointArn": _access_point(scope)}
    actions = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    if not scope.access_point:
        actions.append("elasticfilesystem:ClientRootAccess")  # to give the root's folder to the user that builds
    statements = [_allow("MountTheFileSystem", actions, [_file_system(scope)], condition)]
    if scope.connect == "ssm":
        channels = [f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")]
        statements.append(_allow("AnswerToSystemsManager", ["ssm:UpdateInstanceInformation", *channels], ["*"]))
    return _document(*statements)


def builder_trust_policy() -> Document:
    """Return who may take the builder's role: EC2, for its instances."""
    return _document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


def actions_of(document: Document) -> frozenset[str]:
    """Return the actions that a policy allows."""
    return frozenset(action for statement in document["Statement"] for action in statement["Action"])


def _way_in(scope: Scope, here: Document) -> list[Document]:
    if scope.connect == "ssm":
        document = scope.arn("ssm", "document/AWS-StartSSHSession", account="")
        return [
            _allow(
                "ReachOwnInstances",
                ["ssm:StartSession"],
                scope.ec2("instance"),
                {"Null": {f"ssm:resourceTag/{RUN}": "false"}},
            ),
            _allow("BySsh", ["ssm:StartSession"], [document]),
        ]
    if scope.connect == "endpoint":
        port = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}
        return [
            _allow("FindTheEndpoint", ["ec2:DescribeInstanceConnectEndpoints"], ["*"], here),
            _allow("ReachPort22", ["ec2-instance-connect:OpenTunnel"], scope.ec2("instance-connect-endpoint"), port),
        ]
    return []


def _file_system(scope: Scope) -> str:
    return scope.arn("elasticfilesystem", f"file-system/{scope.file_system}")


def _access_point(scope: Scope) -> str:
    return scope.arn("elasticfilesystem", f"access-point/{scope.access_point}")


def _role(scope: Scope) -> str:
    return scope.arn("iam", f"role/{scope.role}", region="")


def _document(*statements: Document) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}


def _allow(name: str, actions: Sequence[str], resources: list[str], condition: Document | None = None) -> Document:
    statement: dict[str, Any] = {"Sid": name, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement
