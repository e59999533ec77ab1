"""The form of IAM policies, and what each of them is narrowed to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from efsprov.emit.shim import DISTRIBUTION

Document = Mapping[str, Any]
_VERSION: Final = "2012-10-17"
# What an execution role takes to connect its function to a VPC:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
_INTERFACES: Final = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)


@dataclass(frozen=True)
class Scope:
    """What the policies are for.

    ``role`` is the name of the role that is handed out or looked at; ``connect`` how an EC2 builder is reached;
    ``functions`` are the names of the users' functions, patterns allowed; ``builder_function`` is the Lambda builder's
    name; ``layer`` is the layer that is published; ``bucket`` and ``prefix`` are where models come from, or bundles lie.
    """

    account: str
    region: str
    file_system: str = ""
    access_point: str | None = None
    role: str = "efsprov-builder"
    connect: Literal["public", "private", "endpoint", "ssm"] = "public"
    partition: str = "aws"
    functions: tuple[str, ...] = ()
    builder_function: str = ""
    bucket: str = ""
    prefix: str = ""
    layer: str = DISTRIBUTION

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a resource, of this account and region unless others are named."""
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.account if account is None else account}:{resource}"

    def ec2(self, *kinds: str) -> list[str]:
        """Return the ARNs of all EC2 resources of some kinds."""
        return [self.arn("ec2", f"{kind}/*") for kind in kinds]

    @property
    def file_system_arn(self) -> str:
        """The file system's ARN."""
        return self.arn("elasticfilesystem", f"file-system/{self.file_system}")

    @property
    def access_point_arn(self) -> str:
        """The access point's ARN; only where there is one."""
        return self.arn("elasticfilesystem", f"access-point/{self.access_point}")

    @property
    def role_arn(self) -> str:
        """The role's ARN."""
        return self.arn("iam", f"role/{self.role}", region="")

    @property
    def here(self) -> Document:
        """The condition that a request is for this region: for actions that know no narrower resource."""
        return {"StringEquals": {"aws:RequestedRegion": self.region}}

    def function_arns(self, *names: str) -> list[str]:
        """Return the ARNs of functions."""
        return [self.arn("lambda", f"function:{name}") for name in names]


def document(*statements: Document) -> Document:
    """Return a policy."""
    return {"Version": _VERSION, "Statement": list(statements)}


def allow(name: str, actions: Sequence[str], resources: Sequence[str], condition: Document | None = None) -> Document:
    """Return a statement that allows actions on resources."""
    return _statement("Allow", name, actions, resources, condition)


def actions_of(policy: Document) -> frozenset[str]:
    """Return the actions that a policy allows."""
    return frozenset(
        a for statement in policy["Statement"] if statement["Effect"] == "Allow" for a in _listed(statement)
    )


def trust(service: str) -> Document:
    """Return the policy by which a service may take a role."""
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def hand_the_role(scope: Scope, service: str) -> Document:
    """Return the statement that lets the caller give the scope's role to a service, and to no other."""
    condition = {"StringEquals": {"iam:PassedToService": service}}
    return allow("HandOutTheRole", ["iam:PassRole"], [scope.role_arn], condition)


def mount(scope: Scope, *actions: str, condition: Document | None = None) -> Document:
    """Return the statement that lets a client mount the file system, over TLS and through the access point if there is one."""
    narrowed: dict[str, Any] = {"Bool": {"aws:SecureTransport": "true", **(condition or {})}}
    if scope.access_point:
        narrowed["StringEquals"] = {"elasticfilesystem:AccessPointArn": scope.access_point_arn}
    wanted = [f"elasticfilesystem:Client{action}" for action in actions]
    return allow("MountTheFileSystem", wanted, [scope.file_system_arn], narrowed)


def join_the_vpc(scope: Scope, *functions: str) -> tuple[Document, ...]:
    """Return the statements by which Lambda may connect functions to their VPC, and their own code may not.

    Lambda checks the permission for any resource of EC2, not for interfaces alone, before it takes a role.
    """
    names = [*_INTERFACES, "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    own_code = {"ArnLike": {"lambda:SourceFunctionArn": scope.function_arns(*functions)}}
    return (
        allow("LetLambdaJoinTheVpc", _INTERFACES, [scope.arn("ec2", "*/*")]),
        allow("LetLambdaLookAtTheVpc", names[-2:], ["*"], scope.here),
        _statement("Deny", "ButNotTheFunctionsCode", names, ["*"], own_code),
    )


def write_logs(scope: Scope, *functions: str) -> tuple[Document, ...]:
    """Return the statements by which functions write their logs."""
    groups = [scope.arn("logs", f"log-group:/aws/lambda/{name}") for name in functions]
    return (
        allow("MakeTheLog", ["logs:CreateLogGroup"], groups),
        allow("WriteTheLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*" for group in groups]),
    )


def _statement(
    effect: str, name: str, actions: Sequence[str], resources: Sequence[str], condition: Document | None
) -> Document:
    statement: dict[str, Any] = {"Sid": name, "Effect": effect, "Action": sorted(actions), "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement


def _listed(statement: Document) -> list[str]:
    actions: str | list[str] = statement["Action"]
    return [actions] if isinstance(actions, str) else actions
