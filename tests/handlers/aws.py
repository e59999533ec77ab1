"""AWS as the asynchronous handlers see it: the strict double as a server, and what polls a queue for a function."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from devtools.lambda_sandbox import Bind, LambdaEnvironment
from devtools.strict_aws.double import StrictAws
from tests.framework_root import FrameworkRoot, FrameworkRoots, plain_target

REGION = "us-east-1"


@dataclass(frozen=True)
class Fake:
    """AWS at ``url``; each test has names of its own in it."""

    url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


@dataclass(frozen=True)
class Requests:
    """A queue with its dead-letter queue, a table and a bucket."""

    aws: Fake
    queue: str
    dead: str
    table: str
    bucket: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "QUEUE_URL": self.queue,
            "TABLE": self.table,
            "BUCKET": self.bucket,
            "AWS_ENDPOINT_URL": self.aws.url,
            "PYTHONPATH": "/mnt/boto3",
        }

    def item(self, key: str) -> dict[str, Any]:
        """What the table says of a request."""
        found = self.aws.client("dynamodb").get_item(TableName=self.table, Key={"id": {"S": key}})["Item"]
        return {name: next(iter(value.values())) for name, value in found.items()}

    def items(self) -> dict[str, dict[str, Any]]:
        """The whole table, by id."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        plain = [{n: next(iter(v.values())) for n, v in item.items()} for page in pages for item in page["Items"]]
        return {item["id"]: item for item in plain}

    def enqueue(self, count: int, body: Any) -> list[str]:
        """Note and queue requests as the handler does, many at a time; returns their ids."""
        dynamodb, sqs = self.aws.client("dynamodb"), self.aws.client("sqs")
        keys = [str(uuid.uuid4()) for _ in range(count)]
        for at in range(0, count, 25):
            items = [{"id": {"S": key}, "status": {"S": "queued"}} for key in keys[at : at + 25]]
            dynamodb.batch_write_item(RequestItems={self.table: [{"PutRequest": {"Item": item}} for item in items]})
        for at in range(0, count, 10):
            messages = [json.dumps({"id": key, "body": json.dumps(body)}) for key in keys[at : at + 10]]
            entries = [{"Id": str(number), "MessageBody": message} for number, message in enumerate(messages)]
            sqs.send_message_batch(QueueUrl=self.queue, Entries=entries)
        return keys

    def waiting(self, queue: str) -> int:
        """The number of messages in a queue, also of those that somebody has in hand."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = self.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(got[name]) for name in names)


@pytest.fixture(scope="session")
def fake_aws() -> Iterator[Fake]:
    """The strict double, for the tests of one process."""
    with StrictAws() as double:
        yield Fake(double.url)


@pytest.fixture
def requests_path(fake_aws: Fake) -> Requests:
    """What the asynchronous path needs, empty; a message that comes for the third time goes to the dead-letter queue."""
    name = f"t{uuid.uuid4().hex[:12]}"
    sqs, dynamodb, s3 = (fake_aws.client(service) for service in ("sqs", "dynamodb", "s3"))
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    queue = sqs.create_queue(
        QueueName=name,
        Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "600", "MaximumMessageSize": "1048576"},
    )["QueueUrl"]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    s3.create_bucket(Bucket=name)
    return Requests(fake_aws, queue, dead, name, name)


@pytest.fixture(scope="session")
def boto3_mount(framework_roots: FrameworkRoots) -> dict[str, Bind]:
    """Where a function finds boto3, which Lambda's runtimes bring along."""
    found: FrameworkRoot = framework_roots.get("boto3", plain_target(), [f"boto3=={boto3.__version__}"])
    return {"/mnt/boto3": Bind(found.site, "/mnt/boto3")}


class EventSource:
    """Polls a queue for a function as Lambda's SQS event source does, with ReportBatchItemFailures."""

    def __init__(self, requests: Requests, *, batch: int = 10) -> None:
        self._requests, self._batch = requests, batch
        self._sqs = requests.aws.client("sqs")
        self.batches = 0

    def receive(self) -> dict[str, Any] | None:
        """The next batch as an event, None when nothing is visible."""
        got = self._sqs.receive_message(
            QueueUrl=self._requests.queue, MaxNumberOfMessages=self._batch, AttributeNames=["All"]
        ).get("Messages", [])
        records = [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:queue",
                "awsRegion": REGION,
            }
            for each in got
        ]
        return {"Records": records} if records else None

    def settle(self, event: dict[str, Any], failed: set[str]) -> None:
        """Delete what was answered; let the rest be visible again at once."""
        handles = [
            {"Id": str(number), "ReceiptHandle": record["receiptHandle"]}
            for number, record in enumerate(event["Records"])
            if record["messageId"] not in failed
        ]
        if handles:
            self._sqs.delete_message_batch(QueueUrl=self._requests.queue, Entries=handles)
        for record in event["Records"]:
            if record["messageId"] in failed:
                self._sqs.change_message_visibility(
                    QueueUrl=self._requests.queue, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
                )

    def hand(self, event: dict[str, Any], environment: LambdaEnvironment) -> set[str]:
        """Let a function handle a batch; returns the ids of the messages that have to come again."""
        self.batches += 1
        answer = environment.invoke(event)
        if answer.error is not None:
            return {record["messageId"] for record in event["Records"]}
        return {each["itemIdentifier"] for each in answer.payload["batchItemFailures"]}

    def drain(self, environment: LambdaEnvironment) -> None:
        """Hand on batches until nothing comes any more."""
        while (event := self.receive()) is not None:
            self.settle(event, self.hand(event, environment))
