"""The Runtime API that Lambda offers to a runtime, on an ephemeral loopback port.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html: the runtime asks for the next event with a long poll and
posts a response or an error for it; an error of the init phase has its own path.
"""

import json
import queue
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "/2018-06-01/runtime/"
MAX_RESPONSE = 6_291_556  # 6 MiB and 100 bytes: the limit that Lambda states in its own error


@dataclass(frozen=True)
class Event:
    """What the runtime gets for one invocation; ``deadline`` in seconds since the epoch."""

    request_id: str
    body: bytes
    deadline: float
    function_arn: str
    trace_id: str
    client_context: str | None = None

    def headers(self) -> dict[str, str]:
        """As Lambda names them."""
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
        }
        if self.client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = self.client_context
        return headers


@dataclass(frozen=True)
class Next:
    """The runtime waits for an event. It gets what is put into ``answer``; None hangs up."""

    answer: "queue.SimpleQueue[Event | None]"


@dataclass(frozen=True)
class Response:
    """The handler returned; ``body`` is its JSON."""

    body: bytes


@dataclass(frozen=True)
class Failure:
    """The handler, or with ``init`` the function's initialisation, failed; ``body`` is the error's JSON."""

    body: bytes
    init: bool = False


@dataclass(frozen=True)
class Exited:
    """The runtime process ended by itself, with this code (negative: the signal)."""

    code: int


@dataclass(frozen=True)
class Silence:
    """The time is over and the runtime has done nothing."""


Happening = Next | Response | Failure | Exited | Silence


class RuntimeApi:
    """Serves one runtime process; what that process does is put into ``happenings`` in the order in which it does it."""

    def __init__(self) -> None:
        self.happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self.request_id: str | None = None
        self._waiting: Next | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), name="runtime-api", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``host:port``, for AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def next_happening(self, deadline: float) -> Happening:
        """What the runtime does next, waiting until ``deadline`` (of the monotonic clock)."""
        try:
            return self.happenings.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            return Silence()

    def wait_for_event(self) -> Event | None:
        """Called by the HTTP handler: tell that the runtime waits, then wait with it."""
        self._waiting = Next(queue.SimpleQueue())
        self.happenings.put(self._waiting)
        event = self._waiting.answer.get()
        self.request_id = event.request_id if event else None
        return event

    def close(self) -> None:
        """Stop serving and hang up on who waits."""
        self._server.shutdown()
        if self._waiting:
            self._waiting.answer.put(None)
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    api: RuntimeApi
    daemon_threads = True
    block_on_close = False  # a killed runtime leaves its connection behind

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A runtime that was killed breaks its connection: that is not an error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body leave in one segment
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path != PREFIX + "invocation/next":
            self._answer(404, {"errorMessage": f"no such path: {self.path}", "errorType": "NotFound"})
            return
        event = self.server.api.wait_for_event()
        if event is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._write(200, event.body, event.headers())

    def do_POST(self) -> None:
        api = self.server.api
        body = self.rfile.read(int(self.headers["Content-Length"]))
        current = f"{PREFIX}invocation/{api.request_id}/"
        if self.path == PREFIX + "init/error":
            api.happenings.put(Failure(body, init=True))
        elif api.request_id is None or self.path not in {current + "error", current + "response"}:
            self._answer(400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})
            return
        elif self.path.endswith("/error"):
            api.request_id = None
            api.happenings.put(Failure(body))
        elif len(body) > MAX_RESPONSE:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
            api.happenings.put(Failure(error_body("Function.ResponseSizeTooLarge", message)))
            self._answer(413, {"errorMessage": message, "errorType": "RequestEntityTooLarge"})
            return
        else:
            api.request_id = None
            api.happenings.put(Response(body))
        self._answer(202, {"status": "OK"})

    def _answer(self, status: int, document: dict[str, str]) -> None:
        self._write(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers.items(), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the function's log is not ours to write into."""


def error_body(error_type: str, message: str) -> bytes:
    """The JSON of an error that is Lambda's own and not the function's."""
    return json.dumps({"errorMessage": message, "errorType": error_type}).encode()
