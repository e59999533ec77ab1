"""Every request to AWS with the id that AWS gave it: written down as botocore logs them, in this process.

botocore logs each request ("Making request for ...", and "Sending ..." for each attempt) and the headers of each answer, at DEBUG; what it was asked with is
not written. Support finds a request by its id: https://docs.aws.amazon.com/general/latest/gr/request-ids.html
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_HEADERS = ("x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id")


class _Recorder(logging.Handler):
    """Pairs requests and answers, a thread each."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self._path, self._asked = path, threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record.msg, str) or not isinstance(record.args, tuple | Mapping):
            return
        if record.msg.startswith("Making request for") and isinstance(record.args, tuple):
            operation = record.args[0]
            service = getattr(operation, "service_model", None)
            self._asked.name = f"{service.service_name if service else '?'}:{getattr(operation, 'name', operation)}"
            self._asked.at = time.time()
        elif record.msg.startswith("Sending http request") and isinstance(record.args, tuple):
            agent = getattr(record.args[0], "headers", {}).get("User-Agent", "")
            self._asked.waiting = "efsprov" in str(agent)  # others may use botocore in this process, too
        elif record.msg.startswith("Response headers") and getattr(self._asked, "waiting", False):
            self._asked.waiting = False  # an error with fields of its own is parsed, and logged, twice
            self._write(record.args if isinstance(record.args, Mapping) else record.args[0])

    def _write(self, headers: Any) -> None:
        lower = {str(name).lower(): str(value) for name, value in dict(headers).items()}
        call = {
            "action": getattr(self._asked, "name", "?"),
            "request_id": next((lower[name] for name in _HEADERS if name in lower), ""),
            "error": lower.get("x-amzn-errortype", "").partition(":")[0],
            "at": round(getattr(self._asked, "at", time.time()), 3),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(call) + "\n")


@contextlib.contextmanager
def recorded(path: Path) -> Iterator[None]:
    """Append every request of this process to a file, one JSON document a line, while inside."""
    recorder = _Recorder(path)
    loggers = [logging.getLogger(name) for name in ("botocore.endpoint", "botocore.parsers")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(recorder)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # an answer may hold a secret: nobody else is to write these lines anywhere
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(recorder)
            logger.setLevel(level)
            logger.propagate = propagate


def read_calls(path: Path) -> list[dict[str, Any]]:
    """The requests that a file holds."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
