"""The double over HTTP, by boto3: what AWS takes passes, what it would refuse is refused in its words and fails the test."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from devtools.strict_aws.double import StrictAws
from devtools.strict_aws.quotas import NEW_ACCOUNT, vcpus_of

VPC = {"CidrBlock": "10.0.0.0/16"}
INGRESS = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def refused(double, request, **parameters):
    """The code that a request is answered with, and the rules that it breaks."""
    with pytest.raises(ClientError) as caught:
        request(**parameters)
    return caught.value.response["Error"]["Code"], [refusal.rule for refusal in double.refused()]


def group(double):
    ec2 = double.client("ec2")
    vpc = ec2.create_vpc(**VPC)["Vpc"]["VpcId"]
    return ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]


def test_a_refusal_that_nobody_expected_fails_the_test():
    double = StrictAws()
    with (
        pytest.raises(AssertionError, match=r"ec2:CreateSecurityGroup: Description"),
        double,
        pytest.raises(ClientError),
    ):
        double.client("ec2").create_security_group(GroupName="g", Description="it's", VpcId="vpc-1")
    assert double.refused()


def test_an_error_of_the_tests_own_is_not_hidden_by_refusals():
    def fail():
        with StrictAws() as double:
            with pytest.raises(ClientError):
                double.client("efs").describe_file_systems(FileSystemId="no id")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


@pytest.mark.parametrize(
    ("description", "rules"), [("efsprov: from its way in", []), ("efsprov's way in", ["text"]), ("d" * 256, ["text"])]
)
def test_descriptions_of_rules(double, description, rules):
    request = double.client("ec2").authorize_security_group_ingress
    wanted = [{**INGRESS, "IpRanges": [{"CidrIp": "192.0.2.7/32", "Description": description}]}]
    if rules:
        assert refused(double, request, GroupId=group(double), IpPermissions=wanted) == ("InvalidParameterValue", rules)
    else:
        assert request(GroupId=group(double), IpPermissions=wanted)["Return"]


def test_each_protocol_is_read(double):
    """ec2, rest-json, query, json, rest-xml: one request each that moto takes and AWS does not."""
    iam = double.client("iam")
    assert refused(double, iam.create_role, RoleName="not a name", AssumeRolePolicyDocument="{}") == (
        "ValidationError",
        ["pattern"],
    )
    assert refused(double, double.client("efs").create_file_system, CreationToken="t" * 65) == (
        "ValidationException",
        ["length"],
    )
    assert refused(double, double.client("ssm").get_parameter, Name="a" * 2049) == ("ValidationException", ["length"])
    s3 = double.client("s3")
    s3.create_bucket(Bucket="policies", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert refused(double, s3.put_bucket_policy, Bucket="policies", Policy=" " * 20_481) == (
        "PolicyTooLarge",
        ["limit"],
    )
    queue = double.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    answer = refused(double, double.client("sqs").send_message, QueueUrl=queue, MessageBody="a" * 1_048_577)
    assert answer == ("InvalidParameterValue", ["limit"])


def test_values_that_the_model_does_not_have(double):
    answer = refused(double, double.client("efs").create_file_system, CreationToken="t", ThroughputMode="fast")
    assert answer == ("ValidationException", ["enum"])


def function(**more):
    return {
        "FunctionName": "f",
        "Runtime": "python3.13",
        "Handler": "h.h",
        "Role": "arn:aws:iam::123456789012:role/r",
        "Code": {"ZipFile": b"zip"},
        **more,
    }


@pytest.mark.parametrize(
    ("setting", "code", "rule"),
    [
        ({"Environment": {"Variables": {"A1": "v" * 4096}}}, "InvalidParameterValueException", "limit"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "reserved"),
        ({"Environment": {"Variables": {"1A": "x"}}}, "ValidationException", "pattern"),
        (
            {"Layers": [f"arn:aws:lambda:eu-central-1:1:layer:l:{n}" for n in range(6)]},
            "ValidationException",
            "pattern",
        ),
        ({"Tags": {f"t{n}": "v" for n in range(51)}}, "InvalidParameterValueException", "limit"),
        ({"Timeout": 901}, "InvalidParameterValueException", "limit"),
        (
            {"FileSystemConfigs": [{"Arn": "arn:aws:s3:::b", "LocalMountPath": "/mnt/a"}]},
            "ValidationException",
            "pattern",
        ),
    ],
)
def test_settings_of_functions(double, setting, code, rule):
    found = refused(double, double.client("lambda").create_function, **function(**setting))
    assert found[0] == code
    assert rule in found[1]


def test_a_new_account_has_less_memory_and_fewer_processors():
    with StrictAws(quotas=NEW_ACCOUNT) as double:
        create = double.client("lambda").create_function
        assert refused(double, create, **function(MemorySize=3009)) == ("InvalidParameterValueException", ["quota"])
        run = double.client("ec2").run_instances
        answer = refused(double, run, ImageId="ami-1", InstanceType="m7i.2xlarge", MinCount=1, MaxCount=1)
        assert answer == ("VcpuLimitExceeded", ["quota"])
    assert [vcpus_of(t) for t in ("t3.medium", "m7i.xlarge", "c7g.4xlarge", "u-1.weird")] == [1, 4, 16, 0]


def test_user_data_is_measured_as_it_is_decoded(double):
    run = double.client("ec2").run_instances
    fits = base64.b64encode(b"a" * 16_384).decode()
    common = {"ImageId": "ami-12345678", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "DryRun": True}
    with pytest.raises(ClientError, match="DryRunOperation"):
        run(**common, UserData=base64.b64decode(fits))
    assert refused(double, run, **common, UserData=b"a" * 16_385) == ("InvalidParameterValue", ["limit"])


def test_policies_are_measured_without_white_space(double):
    iam, spaces = double.client("iam"), " " * 7000
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    fits = json.dumps({"Version": "2012-10-17", "Statement": [allow]}) + spaces
    iam.create_policy(PolicyName="p", PolicyDocument=fits)
    long = json.dumps({"Version": "2012-10-17", "Statement": [allow] * 120})
    assert refused(double, iam.create_policy, PolicyName="q", PolicyDocument=long) == ("LimitExceeded", ["limit"])


def test_a_request_that_no_service_has_is_refused(double):
    import boto3

    client = boto3.client(
        "lambda", endpoint_url=double.url, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.meta.events.register(
        "before-call.lambda.GetAccountSettings", lambda params, **_: params.update(url=f"{double.url}/2001-01-01/none")
    )
    with pytest.raises(ClientError):
        client.get_account_settings()
    assert [refusal.rule for refusal in double.refused()] == ["operation"]
