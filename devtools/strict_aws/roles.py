"""What AWS asks of the roles that services take: no request of anybody's, but a check all the same.

The context keys are those that the services say they send.
"""

from collections.abc import Iterator

from devtools.strict_aws.policies import Check
from devtools.strict_aws.world import ACCOUNT

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html: "Required IAM permissions", of the execution role
INTERFACES = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SSM_AGENT = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


def join_the_vpc(region: str, partition: str = "aws") -> Iterator[Check]:
    """Lambda connects a function to its VPC; what it makes has no ARN yet, and what it lists has none."""
    for action in INTERFACES:
        looks = action.startswith("ec2:Describe")
        resource = "*" if looks else f"arn:{partition}:ec2:{region}:{ACCOUNT}:*/*"
        yield Check(action, resource, {"aws:RequestedRegion": [region]})


def run_in_the_function(
    name: str, region: str, actions: Iterator[str] | tuple[str, ...] = INTERFACES
) -> Iterator[Check]:
    """The same, asked for by the function's own code (lambda:SourceFunctionArn says so)."""
    for action in actions:
        source = [f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"]
        yield Check(action, "*", {"aws:RequestedRegion": [region], "lambda:SourceFunctionArn": source})


def write_logs(name: str, region: str) -> Iterator[Check]:
    """Lambda writes a function's log: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html."""
    group = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:/aws/lambda/{name}"
    yield Check("logs:CreateLogGroup", group, {"aws:RequestedRegion": [region]})
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Check(action, f"{group}:log-stream:2026/11/26/[$LATEST]0", {"aws:RequestedRegion": [region]})


def mount(
    file_system: str, region: str, *, access_point: str | None = None, write: bool = False, root: bool = False
) -> Iterator[Check]:
    """EFS asks when a client mounts over TLS and with IAM, if the file system has a policy of its own.

    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    resource = f"arn:aws:elasticfilesystem:{region}:{ACCOUNT}:file-system/{file_system}"
    context = {"aws:SecureTransport": ["true"], "elasticfilesystem:AccessedViaMountTarget": ["true"]}
    if access_point is not None:
        point = f"arn:aws:elasticfilesystem:{region}:{ACCOUNT}:access-point/{access_point}"
        context["elasticfilesystem:AccessPointArn"] = [point]
    for wanted, action in ((True, "ClientMount"), (write, "ClientWrite"), (root, "ClientRootAccess")):
        if wanted:
            yield Check(f"elasticfilesystem:{action}", resource, context)


def answer_to_systems_manager(region: str) -> Iterator[Check]:
    """The agent on an instance that sessions reach."""
    for action in SSM_AGENT:
        yield Check(action, "*", {"aws:RequestedRegion": [region]})


def open_a_session(instance: str, tags: dict[str, str], region: str) -> Iterator[Check]:
    """The AWS command line's `ssm start-session` by the document that carries SSH.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html
    """
    context = {f"ssm:resourceTag/{name}": [value] for name, value in tags.items()}
    yield Check("ssm:StartSession", f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance}", context)
    yield Check("ssm:StartSession", f"arn:aws:ssm:{region}::document/AWS-StartSSHSession", {})
    context = {"aws:userid": ["AIDAEXAMPLE"]}
    yield Check(
        "ssmmessages:OpenDataChannel", f"arn:aws:ssm:{region}:{ACCOUNT}:session/AIDAEXAMPLE-0123456789abcdef0", context
    )


def open_a_tunnel(region: str) -> Iterator[Check]:
    """The AWS command line's `ec2-instance-connect open-tunnel` to port 22.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect-endpoint.html
    """
    endpoint = f"arn:aws:ec2:{region}:{ACCOUNT}:instance-connect-endpoint/eice-0123456789abcdef0"
    yield Check("ec2-instance-connect:OpenTunnel", endpoint, {"ec2-instance-connect:remotePort": ["22"]})
