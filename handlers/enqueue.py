"""Takes a request for a model that may take a while: keeps it, queues it, and answers with its id at once.

Handler: ``enqueue.handler``, behind API Gateway or a function URL (POST). Needs no file system. Variables: QUEUE_URL (an SQS
queue with a dead-letter queue), TABLE (a DynamoDB table whose key is the text ``id``), BUCKET (for requests that are larger
than a message may be), and as an option SQS_LIMIT, the queue's MaximumMessageSize (1048576), and KEEP_SECONDS, after which
DynamoDB may forget a request (its TTL attribute is ``expires``; 86400).

Body: what the model's handler takes, such as ``{"inputs": [[1.0, 2.0]]}``. Answer: 202 ``{"id": "...", "status": "queued"}``.
A caller that repeats a request with the same header ``Idempotency-Key`` gets the same id and one answer.
"""

import base64
import binascii
import hashlib
import json
import logging
import os
import re
import time
import uuid
from typing import Any

import boto3

MAX_BODY = 6_291_456  # bytes; what Lambda takes at most in a request
LIMIT = int(os.environ.get("SQS_LIMIT", "1048576"))
KEEP = int(os.environ.get("KEEP_SECONDS", "86400"))
KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
SQS, DYNAMODB, S3 = (boto3.client(name) for name in ("sqs", "dynamodb", "s3"))


class BadInputError(ValueError):
    """What the caller sent cannot be queued; ``status`` and ``code`` say how it is reported."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an HTTP-shaped event."""
    try:
        return respond(202, accept(event))
    except BadInputError as error:
        return respond(error.status, {"error": {"code": error.code, "message": str(error)}})
    except Exception:
        logging.getLogger().exception("the request could not be queued")
        request = getattr(context, "aws_request_id", "")
        message = f"The request could not be queued; it may be sent again. Request {request}."
        return respond(500, {"error": {"code": "internal", "message": message}})


def accept(event: Any) -> dict[str, Any]:
    """Keep and queue a request; raises BadInputError.

    It is noted before it is queued, so that its status can be asked for at once. A request that was noted, but whose
    message may not have been sent (this function was killed in between), is queued again: the worker answers once.
    """
    body = read_body(event)
    key, text = read_key(event), json.dumps(body)
    digest = hashlib.sha256(text.encode()).hexdigest()
    now = int(time.time())
    item = {
        "id": {"S": key},
        "status": {"S": "queued"},
        "digest": {"S": digest},
        "created": {"N": str(now)},
        "expires": {"N": str(now + KEEP)},
    }
    try:
        DYNAMODB.put_item(TableName=os.environ["TABLE"], Item=item, ConditionExpression="attribute_not_exists(id)")
    except DYNAMODB.exceptions.ConditionalCheckFailedException:
        found = DYNAMODB.get_item(TableName=os.environ["TABLE"], Key={"id": {"S": key}}, ConsistentRead=True)["Item"]
        if found["digest"]["S"] != digest:
            raise BadInputError(409, "key-reused", "The Idempotency-Key was used for another request.") from None
        if found["status"]["S"] != "queued":
            return {"id": key, "status": found["status"]["S"]}
    SQS.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=as_message(key, text))
    return {"id": key, "status": "queued"}


def as_message(key: str, text: str) -> str:
    """The message: with the request in it, or with the place in S3 where it lies."""
    message = json.dumps({"id": key, "body": text})
    if len(message.encode()) <= LIMIT:
        return message
    place = {"bucket": os.environ["BUCKET"], "key": f"requests/{key}.json"}
    S3.put_object(Bucket=place["bucket"], Key=place["key"], Body=text.encode(), ContentType="application/json")
    return json.dumps({"id": key, "s3": place})


def read_key(event: Any) -> str:
    """The id of a request: the caller's own, or a new one."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    key = headers.get("idempotency-key")
    if key is None:
        return str(uuid.uuid4())
    if not KEY.fullmatch(key):
        raise BadInputError(400, "bad-key", "An Idempotency-Key has 8 to 64 letters, digits, '-' or '_'.")
    return str(key)


def read_body(event: Any) -> dict[str, Any]:
    """The decoded JSON body of an event; raises BadInputError."""
    body = event.get("body") if isinstance(event, dict) else None
    if not isinstance(body, str) or not body:
        raise BadInputError(400, "no-body", "The request has no body.")
    if len(body) > MAX_BODY:
        raise BadInputError(413, "too-large", f"The body is larger than {MAX_BODY} bytes.")
    try:
        result = json.loads(base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body)
    except binascii.Error:
        raise BadInputError(400, "not-base64", "The body is not base64, although the event says so.") from None
    except (ValueError, RecursionError):
        raise BadInputError(400, "not-json", "The body is not JSON.") from None
    if not isinstance(result, dict):
        raise BadInputError(400, "not-json", "The body must be a JSON object.")
    return result


def respond(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway and function URLs take for an answer."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
