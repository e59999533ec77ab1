"""A page that answers in AWS's place: a proxy's refusal, a login portal, a load balancer that has nobody behind it."""

from typing import Any, Final

from botocore.exceptions import BotoCoreError

_PAGES: Final = (b"<!doctype html", b"<html")
_PROLOGUE: Final = b"<?xml"


class ForeignAnswerError(BotoCoreError):
    """An answer whose body is a page: ``status`` is its HTTP status, ``text`` what the page says, markup included."""

    fmt = "HTTP status {status}: {text}"

    def __init__(self, *, status: int, text: str) -> None:
        super().__init__(status=status, text=text)
        self.status, self.text = status, text


def refuse_pages(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """Raise ``ForeignAnswerError`` for a page; a handler of botocore's event ``before-parse``, which comes for every answer.

    botocore itself finds a page unreadable in one protocol, an error with code "403" in another, and in a third an answer
    without members (botocore 1.44.5, ``parsers.py``). No API of AWS answers with HTML, but an object of S3 may be a page:
    what is streamed is passed over.
    """
    body = response_dict.get("body")
    if operation_model.has_streaming_output and response_dict["status_code"] < 300:
        return
    if not isinstance(body, bytes) or not body.strip():
        return
    start = body.lstrip()[:512].lower()
    if start.startswith(_PROLOGUE):
        start = start.partition(b"?>")[2].lstrip()
    kind = str(response_dict.get("headers", {}).get("content-type", "")).lower()
    if kind.startswith("text/html") or start.startswith(_PAGES):
        raise ForeignAnswerError(status=response_dict["status_code"], text=body[:65536].decode("utf-8", "replace"))
