"""Says what became of a request that ``enqueue`` took.

Handler: ``status.handler``, behind API Gateway (GET, with the path parameter ``id``). Needs no file system. Variables: TABLE
and BUCKET as for ``enqueue``.

Answer: 200 ``{"id": "...", "status": "queued"}``, or ``"done"`` with ``"answer"``, or ``"failed"`` with ``"error"``. An answer
that is too large for the table is in S3: ``"answer_url"`` can be fetched for 15 minutes. 404 for an id that is not known. A
request whose last attempt noted until when it would take, and wrote nothing by then, has failed: that worker was killed.
"""

import json
import logging
import os
import re
import time
from typing import Any

import boto3
from botocore.config import Config

KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
URL_SECONDS = 900
KILLED = {
    "code": "gave-up",
    "message": "The last attempt at the request was ended from outside: no time or no memory left.",
}
DYNAMODB = boto3.client("dynamodb")
# An older signature is refused for keys of KMS. Without "virtual", URLs of signature 4 name the global endpoint, which sends
# callers on to the bucket's region, where the signature does not hold (boto/boto3#2989).
S3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an HTTP-shaped event."""
    key = ((event.get("pathParameters") if isinstance(event, dict) else None) or {}).get("id")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        return problem(400, "bad-id", "The path has no id of a request.")
    try:
        found = DYNAMODB.get_item(TableName=os.environ["TABLE"], Key={"id": {"S": key}}, ConsistentRead=True).get(
            "Item"
        )
        if found is None:
            return problem(404, "not-found", f"There is no request {key}, or it is too long ago.")
        if found["status"]["S"] == "queued" and "last_until" in found and int(found["last_until"]["N"]) < time.time():
            return respond(200, {"id": key, "status": "failed", "error": KILLED})
        return respond(200, {"id": key, "status": found["status"]["S"]} | outcome(found))
    except Exception:
        logging.getLogger().exception("the status could not be read")
        request = getattr(context, "aws_request_id", "")
        return problem(500, "internal", f"The status could not be read. Request {request}.")


def outcome(found: Any) -> dict[str, Any]:
    """What the worker wrote, if it has."""
    if "answer_key" in found:
        place = {"Bucket": os.environ["BUCKET"], "Key": found["answer_key"]["S"]}
        return {"answer_url": S3.generate_presigned_url("get_object", Params=place, ExpiresIn=URL_SECONDS)}
    if "answer" not in found:
        return {}
    result = json.loads(found["answer"]["S"])
    return result if found["status"]["S"] == "failed" else {"answer": result}


def problem(status: int, code: str, message: str) -> dict[str, Any]:
    """An answer that says what is wrong."""
    return respond(status, {"error": {"code": code, "message": message}})


def respond(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway and function URLs take for an answer."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
