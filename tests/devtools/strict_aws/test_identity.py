"""Callers under test over HTTP: what their policies do not allow is denied in AWS's words, with all that a call takes."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from devtools.strict_aws import reference
from devtools.strict_aws.double import REGION
from devtools.strict_aws.wire import service_model

LOOK = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def client(double, service, *statements):
    ann = double.identities.add("ann", [policy(*statements)])
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=double.url,
        aws_access_key_id=ann.key,
        aws_secret_access_key=ann.secret,
    )


def denial(request, **parameters):
    with pytest.raises(ClientError) as caught:
        request(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_denial_of_ec2_can_be_decoded(double):
    code, message = denial(client(double, "ec2", LOOK).describe_subnets)
    assert code == "UnauthorizedOperation"
    token = message.rpartition(" ")[2]
    reply = json.loads(double.client("sts").decode_authorization_message(EncodedMessage=token)["DecodedMessage"])
    assert reply["context"]["action"] == "ec2:DescribeSubnets"
    assert reply["explicitDeny"] is False
    client(double, "ec2", LOOK).describe_vpcs()


@pytest.mark.parametrize(
    ("service", "request_", "parameters", "code"),
    [
        ("lambda", "list_functions", {}, "AccessDeniedException"),
        ("efs", "describe_file_systems", {}, "AccessDeniedException"),
        ("s3", "list_buckets", {}, "AccessDenied"),
        ("iam", "list_roles", {}, "AccessDenied"),
        ("ssm", "get_parameter", {"Name": "/a"}, "AccessDeniedException"),
    ],
)
def test_each_service_has_its_own_code(double, service, request_, parameters, code):
    found, message = denial(getattr(client(double, service, LOOK), request_), **parameters)
    assert found == code
    assert "is not authorized to perform" in message


def test_what_an_operations_own_text_asks_for_is_asked(double):
    """The fault of the policies before 2026-11-26: DescribeMountTargetSecurityGroups alone is not enough."""
    efs = double.client("efs")
    vpc = double.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = double.client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    system = efs.create_file_system(CreationToken="t")["FileSystemId"]
    target = efs.create_mount_target(FileSystemId=system, SubnetId=subnet)["MountTargetId"]
    arn = f"arn:aws:elasticfilesystem:{REGION}:123456789012:file-system/{system}"
    own = {"Effect": "Allow", "Action": "elasticfilesystem:DescribeMountTargetSecurityGroups", "Resource": arn}
    _, message = denial(client(double, "efs", own).describe_mount_target_security_groups, MountTargetId=target)
    assert "ec2:DescribeNetworkInterfaceAttribute" in message
    both = {"Effect": "Allow", "Action": "ec2:DescribeNetworkInterfaceAttribute", "Resource": "*"}
    client(double, "efs", own, both).describe_mount_target_security_groups(MountTargetId=target)


def test_the_tags_of_a_resource_count(double):
    ec2 = double.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    mine, other = (ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"] for n in ("a", "b"))
    ec2.create_tags(Resources=[mine], Tags=[{"Key": "run", "Value": "r"}])
    tagged = {"Condition": {"Null": {"aws:ResourceTag/run": "false"}}}
    ann = client(double, "ec2", {"Effect": "Allow", "Action": "ec2:DeleteSecurityGroup", "Resource": "*", **tagged})
    assert denial(ann.delete_security_group, GroupId=other)[0] == "UnauthorizedOperation"
    ann.delete_security_group(GroupId=mine)


def test_a_simulation_takes_a_key_that_is_not_given_for_missing(double):
    """The fault of the doctor before 2026-11-26: a right role was called wrong."""
    iam = double.client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(policy(LOOK)))["Role"]["Arn"]
    mounting = {"Effect": "Allow", "Action": "elasticfilesystem:ClientMount", "Resource": "*"}
    mounting["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(policy(mounting)))
    requests = {"PolicySourceArn": role, "ActionNames": ["elasticfilesystem:ClientMount"], "ResourceArns": ["*"]}
    result = iam.simulate_principal_policy(**requests)["EvaluationResults"][0]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("implicitDeny", ["aws:SecureTransport"])
    given = [{"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}]
    assert (
        iam.simulate_principal_policy(**requests, ContextEntries=given)["EvaluationResults"][0]["EvalDecision"]
        == "allowed"
    )


def test_the_reference_knows_the_operations():
    """Operations whose action has another name are listed; whatever else is called must be an action."""
    for service in ("ec2", "efs", "lambda", "iam", "sqs", "dynamodb"):
        operations = service_model(service).operation_names
        unknown = [name for name in operations if not reference.exists(reference.action_of(service, name))]
        assert len(unknown) < len(operations) / 8, (service, unknown)
    assert reference.dependents_of("efs", service_model("efs").operation_model("ModifyMountTargetSecurityGroups")) == (
        "ec2:ModifyNetworkInterfaceAttribute",
    )
