"""One way of calling: tried again when that helps, each request sent once otherwise, errors in plain words."""

import http.server
import threading

import pytest

from efsprov.aws.errors import code_of
from efsprov.aws.identity import who_am_i
from efsprov.aws.session import open_session
from efsprov.core.errors import AwsError, UsageError


def test_credentials_are_used(aws):
    assert who_am_i(aws).account == "123456789012"


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "Throttling", "InternalError"])
def test_throttling_and_server_errors_are_tried_again(fake, aws, code):
    fake.fail("ec2:DescribeSubnets", code, status=503, times=3)
    aws.call(aws.ec2.describe_subnets)
    assert len(fake.named("ec2:DescribeSubnets")) == 4


def test_not_more_often_than_the_policy_says(fake, aws):
    fake.fail("ec2:DescribeSubnets", "RequestLimitExceeded", status=503, times=99)
    with pytest.raises(AwsError, match="failed again and again") as caught:
        aws.call(aws.ec2.describe_subnets)
    assert len(fake.named("ec2:DescribeSubnets")) == 4
    assert code_of(caught.value) == "RequestLimitExceeded"


def test_a_lost_reply_is_asked_for_again(fake, aws):
    fake.lose_reply("ec2:DescribeSubnets", times=2)
    aws.call(aws.ec2.describe_subnets)
    assert len(fake.named("ec2:DescribeSubnets")) == 3


def test_a_lack_of_capacity_is_not_tried_again_although_its_status_is_500(fake, aws):
    fake.fail("ec2:DescribeSubnets", "InsufficientInstanceCapacity", status=500)
    with pytest.raises(AwsError):
        aws.call(aws.ec2.describe_subnets)
    assert len(fake.named("ec2:DescribeSubnets")) == 1


def test_a_denial_that_cannot_be_decoded_says_what_is_missing(fake, aws):
    message = "You are not authorized to perform this operation. Encoded authorization failure message: SECRET"
    fake.fail("ec2:DescribeSubnets", "UnauthorizedOperation", message, status=403)
    with pytest.raises(AwsError, match="Access denied: DescribeSubnets") as caught:
        aws.call(aws.ec2.describe_subnets)
    assert "SECRET" not in caught.value.message
    assert "sts:DecodeAuthorizationMessage" in caught.value.hint


def test_a_denial_is_decoded(fake, aws):
    fake.identities.decoded["TOKEN"] = (
        '{"explicitDeny": false, "context": {"principal": {"arn": "arn:ann"}, "action": "ec2:X", "resource": "arn:r"}}'
    )
    fake.fail(
        "ec2:DescribeSubnets", "UnauthorizedOperation", "No. Encoded authorization failure message: TOKEN", status=403
    )
    with pytest.raises(AwsError, match="arn:ann may not ec2:X on arn:r: no statement allows it"):
        aws.call(aws.ec2.describe_subnets)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "have expired"),
        ("InvalidClientTokenId", "does not know the access key"),
        ("AuthFailure", "does not accept the credentials"),
        ("VcpuLimitExceeded", "quota of vCPUs"),
        ("OptInRequired", "not enabled this region"),
    ],
)
def test_errors_are_in_plain_words_with_a_way_out(fake, aws, code, words):
    fake.fail("ec2:DescribeSubnets", code)
    with pytest.raises(AwsError, match=words) as caught:
        aws.call(aws.ec2.describe_subnets)
    assert caught.value.hint


def test_no_region_and_no_profile_are_reported(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(UsageError, match="No AWS region is set") as caught:
        open_session()
    assert "--region" in caught.value.hint
    with pytest.raises(AwsError, match="nobody"):
        open_session("eu-central-1", "nobody")


def test_no_credentials_are_reported(fake, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError, match="no usable AWS credentials"):
        who_am_i(open_session())
    assert fake.sent == []


def test_an_endpoint_that_is_not_there_is_reported(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(AwsError, match="cannot be reached"):
        who_am_i(type(aws)(open_session().session, aws.region, throttled=aws.throttled))


@pytest.fixture
def portal(aws, monkeypatch):
    """portal(status, kind): an efsprov session whose AWS is a login page that answers for everything, as a proxy does."""
    pages = {}

    class Portal(http.server.BaseHTTPRequestHandler):
        def answer(self):
            pages["requests"] += 1
            page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>" + b"<p>Please sign in.</p>" * 500
            self.send_response(pages["status"])
            self.send_header("Content-Type", pages["kind"])
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

        def log_message(self, *args):
            pass

    def open_portal(status, kind="text/html"):
        pages.update(status=status, kind=kind, requests=0)
        session = open_session()
        return type(aws)(session.session, aws.region, throttled=aws.throttled)

    open_portal.pages = pages
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield open_portal
        server.shutdown()


ASK = {
    "ec2": lambda a: a.ec2.describe_subnets(),
    "sts": lambda a: a.sts.get_caller_identity(),
    "ssm": lambda a: a.ssm.get_parameter(Name="x"),
    "efs": lambda a: a.efs.describe_file_systems(),
    "lambda": lambda a: a.client("lambda").get_function(FunctionName="f"),
    "invoke": lambda a: a.client("lambda").invoke(FunctionName="f"),
    "s3": lambda a: a.client("s3").list_objects_v2(Bucket="bucket"),
}


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (ask, status) for ask in ASK for status in (200, 403, 407) if (ask, status) != ("invoke", 200)
    ],  # a function's answer
)
def test_a_page_in_the_place_of_aws_is_one_short_message_whatever_its_status(portal, ask, status, kind):
    opened = portal(status, kind)
    with pytest.raises(AwsError, match=r"is not AWS: its answer cannot be read \(.*Sign in") as caught:
        opened.call(lambda: ASK[ask](opened))
    assert len(str(caught.value)) < 500
    assert "HTTPS_PROXY" in caught.value.hint
    # botocore takes S3's errors with status 200 for failures of S3, which may pass.
    assert portal.pages["requests"] == (4 if (ask, status) == ("s3", 200) else 1)


def test_a_page_that_says_that_nobody_is_there_is_asked_again(portal):
    opened = portal(503)
    with pytest.raises(AwsError, match="HTTP status 503"):
        opened.call(opened.efs.describe_file_systems)
    assert portal.pages["requests"] == 4


def test_an_object_that_is_a_page_is_an_object(portal):
    opened = portal(200)
    reply = opened.call(lambda: opened.client("s3").get_object(Bucket="bucket", Key="page.html"))
    assert reply["Body"].read().startswith(b"<!DOCTYPE html>")
