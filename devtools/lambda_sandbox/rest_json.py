"""An AWS service on a loopback port, for boto3's ``endpoint_url``: the protocol is read from botocore's service model.

What a service does is a Python object whose methods are named like boto3's (``create_function``) and take and return what
boto3's do. Fields that the model does not know are refused in both directions, so nothing is dropped in silence.
https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

import base64
import datetime as dt
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape


class ServiceError(Exception):
    """An error of the service: ``code`` as in its model, which also has the HTTP status. ``fields`` go into the body."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.fields = code, message, fields


@dataclass(frozen=True)
class Request:
    """A request that came in; a retry of the client's is one of its own."""

    operation: str
    parameters: Mapping[str, Any]


class Route:
    """Which requests are for an operation, by method, path and the fixed part of the query."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        path, _, query = operation.http["requestUri"].partition("?")
        self.method: str = operation.http["method"]
        self.query = parse_qs(query, keep_blank_values=True)
        self._path = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path.rstrip("/"))))

    def match(self, method: str, path: str, query: Mapping[str, list[str]]) -> dict[str, str] | None:
        """The path's variables, or None."""
        found = self._path.fullmatch(path.rstrip("/"))
        if not found or method != self.method or any(query.get(key) != value for key, value in self.query.items()):
            return None
        return {name: unquote(value) for name, value in found.groupdict().items()}


class RestJsonServer:
    """Serves ``service`` (botocore's name) with the methods of the objects ``operations`` until it is closed.

    Closing raises what an operation raised that was no ServiceError, which the client saw as a 500.
    """

    def __init__(self, service: str, *operations: object) -> None:
        self.model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        self.requests: list[Request] = []
        self.failures: list[Exception] = []
        self._operations = operations
        routes = (Route(self.model.operation_model(name)) for name in self.model.operation_names)
        self._routes = sorted(routes, key=lambda route: -len(route.query))  # the more particular one first
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), name=f"{service}-endpoint", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """For ``endpoint_url``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, operation: str) -> int:
        """How many requests for the operation (``Invoke``) have come in."""
        return sum(request.operation == operation for request in self.requests)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.failures:
            raise ExceptionGroup("operations failed", self.failures)

    def answer(self, method: str, target: str, headers: Message, body: bytes) -> "_Answer":
        """Handle one HTTP request."""
        try:
            operation, variables, query = self._route(method, target)
            parameters = parse_request(operation, variables, query, headers, body)
            self.requests.append(Request(operation.name, parameters))
            return build_answer(operation, self._find(operation.name)(**parameters) or {})
        except ServiceError as error:
            return self._error(error)
        except Exception as error:  # noqa: BLE001 - the test sees it when the server is closed
            self.failures.append(error)
            return self._error(ServiceError("ServiceException", repr(error)))

    def _find(self, operation: str) -> Callable[..., Mapping[str, Any] | None]:
        name = xform_name(operation)
        for group in self._operations:
            if hasattr(group, name):
                found: Callable[..., Mapping[str, Any] | None] = getattr(group, name)
                return found
        raise ServiceError("NotImplemented", f"this endpoint does not know {operation}")

    def _route(self, method: str, target: str) -> tuple[OperationModel, dict[str, str], dict[str, list[str]]]:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        for route in self._routes:
            variables = route.match(method, parts.path, query)
            if variables is not None:
                return route.operation, variables, query
        raise ServiceError("UnknownOperationException", f"no operation is {method} {target}")

    def _error(self, error: ServiceError) -> "_Answer":
        statuses = {
            shape.metadata.get("error", {}).get("code", shape.name): shape.metadata.get("error", {}).get(
                "httpStatusCode"
            )
            for shape in self.model.error_shapes
        }
        document = {"Type": "User", "message": error.message, "Message": error.message} | error.fields
        headers = {"x-amzn-ErrorType": error.code, "Content-Type": "application/json"}
        return _Answer(statuses.get(error.code) or 400, headers, json.dumps(document).encode())


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_request(
    operation: OperationModel,
    variables: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Message,
    body: bytes,
) -> dict[str, Any]:
    """The operation's parameters as boto3 took them; ServiceError if the body is not what the model says."""
    shape = operation.input_shape
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    payload = shape.serialization.get("payload")
    in_body: dict[str, str] = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                found[name] = parse_text(member, variables[wire])
            case "querystring" if wire in query:
                found[name] = query[wire] if member.type_name == "list" else parse_text(member, query[wire][0])
            case "header" if headers.get(wire) is not None:
                found[name] = parse_text(member, headers[wire])
            case None if name == payload:
                found[name] = body
            case None:
                in_body[wire] = name
    if not payload and body:
        document = json.loads(body)
        if unknown := document.keys() - in_body.keys():
            raise ServiceError("SerializationException", f"{operation.name} has no {', '.join(sorted(unknown))}")
        found |= {in_body[key]: decode(shape.members[in_body[key]], value) for key, value in document.items()}
    return found


def parse_text(shape: Shape, text: str) -> Any:
    """A value out of the path, the query or a header."""
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "boolean":
            return text == "true"
        case _:
            return text


def decode(shape: Any, value: Any) -> Any:
    """A value of the JSON body."""
    match shape.type_name:
        case "structure":
            return {key: decode(shape.members[key], item) for key, item in value.items()}
        case "list":
            return [decode(shape.member, item) for item in value]
        case "map":
            return {key: decode(shape.value, item) for key, item in value.items()}
        case "blob":
            return base64.b64decode(value)
        case _:
            return value


def encode(shape: Any, value: Any) -> Any:
    """The opposite of `decode`; KeyError for a field that the model has not."""
    match shape.type_name:
        case "structure":
            return {key: encode(shape.members[key], item) for key, item in value.items() if item is not None}
        case "list":
            return [encode(shape.member, item) for item in value]
        case "map":
            return {key: encode(shape.value, item) for key, item in value.items()}
        case "blob":
            return base64.b64encode(value).decode()
        case "timestamp" if isinstance(value, dt.datetime):
            return value.timestamp()
        case _:
            return value


def build_answer(operation: OperationModel, result: Mapping[str, Any]) -> _Answer:
    """The HTTP response that boto3 parses into ``result``; KeyError for a field that the model has not."""
    status = operation.http.get("responseCode", 200)
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}
    shape = operation.output_shape
    if shape is None:
        return _Answer(status, headers, b"")
    body: dict[str, Any] = {}
    raw: bytes | None = None
    for name, value in result.items():
        if value is None:
            continue
        member = shape.members[name]
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "statusCode":
                status = value
            case "header":
                headers[wire] = str(value)
            case _ if name == shape.serialization.get("payload"):
                raw = value
            case _:
                body[wire] = encode(member, value)
    if raw is None:
        raw = b"" if shape.serialization.get("payload") or status == 204 else json.dumps(body).encode()
    return _Answer(status, headers, raw)


class _Server(ThreadingHTTPServer):
    owner: RestJsonServer
    daemon_threads = True
    block_on_close = False  # clients keep their connections open

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has lost its patience is gone: that is its affair, and the operation was carried out."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body leave in one segment
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.owner.answer(self.command, self.path, self.headers, body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
