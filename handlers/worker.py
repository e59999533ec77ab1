"""Answers the requests that ``enqueue`` queued, with any of the handlers that serve a model.

Handler: ``worker.handler``, as the target of an SQS event source with ReportBatchItemFailures. Deploy it together with the
file of the model's handler (such as ``onnx_model.py``), name that in PREDICTOR (``onnx_model``), and set what it needs:
EFSPROV_ROOT, EFSPROV_CHANNEL, EFSPROV_MODEL. Besides: TABLE and BUCKET as for ``enqueue``, and MAX_RECEIVES, the
maxReceiveCount of the queue's redrive policy (3). The queue's visibility timeout should be 6 times the function's timeout.

What becomes of a message: an answer, or what is wrong with the request, is written to the table once, however often the
message comes. A message that fails in another way comes again, alone and not its whole batch, until the redrive policy moves
it to the dead-letter queue; its request is then marked as failed. The last attempt notes how long it may take before it begins, so that
``status`` tells of one that was killed.
"""

import importlib
import json
import logging
import os
import time
from typing import Any

import boto3

PREDICTOR = importlib.import_module(os.environ["PREDICTOR"])  # loads the model, once an environment
TABLE = os.environ["TABLE"]
MAX_RECEIVES = int(os.environ.get("MAX_RECEIVES", "3"))
LARGEST_ITEM = 300_000  # bytes of an answer in the table, whose items may have 400 KB
GRACE_SECONDS = 30  # for clocks that differ
LEAST_TIME_MS = 5_000  # what has to be left to begin with another message
DYNAMODB, S3 = boto3.client("dynamodb"), boto3.client("s3")
LOG = logging.getLogger()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer a batch; what is returned are the messages that have to come again."""
    failed = []
    for record in event["Records"]:
        if context.get_remaining_time_in_millis() < LEAST_TIME_MS:
            failed.append(record["messageId"])  # not begun: better than to be killed in the middle of it
            continue
        try:
            if is_last(record):
                note_last_attempt(record, context)
            work(record)
        except Exception:
            LOG.exception("message %s could not be answered", record["messageId"])
            failed.append(record["messageId"])
            give_up(record)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def is_last(record: Any) -> bool:
    """Whether the redrive policy takes the message away when this attempt fails."""
    return int(record["attributes"]["ApproximateReceiveCount"]) >= MAX_RECEIVES


def note_last_attempt(record: Any, context: Any) -> None:
    """Note until when the last attempt takes at most: one that is killed (out of memory or time) can write nothing itself."""
    until = int(time.time() + context.get_remaining_time_in_millis() / 1000) + GRACE_SECONDS
    try:
        DYNAMODB.update_item(
            TableName=TABLE,
            Key={"id": {"S": json.loads(record["body"])["id"]}},
            UpdateExpression="SET last_until = :until",
            ConditionExpression="#status = :queued",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":until": {"N": str(until)}, ":queued": {"S": "queued"}},
        )
    except DYNAMODB.exceptions.ConditionalCheckFailedException:
        LOG.info("message %s was answered before", record["messageId"])


def work(record: Any) -> None:
    """Answer one message and keep the answer."""
    message = json.loads(record["body"])
    key = message["id"]
    found = DYNAMODB.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True).get("Item", {})
    if found.get("status", {}).get("S", "queued") != "queued":
        LOG.info("request %s was answered before", key)
        return
    try:
        keep(key, "done", PREDICTOR.predict(json.loads(read_request(message))))
    except PREDICTOR.BadInputError as error:  # it would be wrong the next time, too
        keep(key, "failed", {"error": {"code": error.code, "message": str(error)}})


def read_request(message: Any) -> str | bytes:
    """The request in a message, or in the object that it names."""
    if "s3" not in message:
        return str(message["body"])
    content: bytes = S3.get_object(Bucket=message["s3"]["bucket"], Key=message["s3"]["key"])["Body"].read()
    return content


def keep(key: str, status: str, answer: dict[str, Any]) -> None:
    """Write an outcome, unless one was written before: of two workers with the same message the first one counts."""
    text = json.dumps(answer, allow_nan=False)
    outcome = {"answer": {"S": text}}
    if len(text) > LARGEST_ITEM:
        place = f"answers/{key}.json"
        S3.put_object(Bucket=os.environ["BUCKET"], Key=place, Body=text.encode(), ContentType="application/json")
        outcome = {"answer_key": {"S": place}}
    (name,) = outcome
    try:
        DYNAMODB.update_item(
            TableName=TABLE,
            Key={"id": {"S": key}},
            UpdateExpression="SET #status = :status, #outcome = :outcome",
            ConditionExpression="attribute_not_exists(#status) OR #status = :queued",
            ExpressionAttributeNames={"#status": "status", "#outcome": name},
            ExpressionAttributeValues={":status": {"S": status}, ":queued": {"S": "queued"}, ":outcome": outcome[name]},
        )
    except DYNAMODB.exceptions.ConditionalCheckFailedException:
        LOG.info("request %s was answered by another worker", key)


def give_up(record: Any) -> None:
    """Tell who waits for the answer that none will come, when the message goes to the dead-letter queue next."""
    if not is_last(record):
        return
    try:
        error = {"code": "gave-up", "message": f"The request could not be answered in {MAX_RECEIVES} attempts."}
        keep(json.loads(record["body"])["id"], "failed", {"error": error})
    except Exception:
        LOG.exception("message %s names no request", record["messageId"])
