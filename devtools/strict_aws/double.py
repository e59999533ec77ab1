"""AWS on one loopback port, as strict as it is documented to be: what it would refuse is refused, and fails the test.

Each request is read by its service's model, held against the rules, allowed or denied by the caller's policies, and only
then handed to what knows the resources: moto, or another backend (the Lambda sandbox). It is logged, and may meet a fault.
"""

import contextlib
import io
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import boto3
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from devtools.strict_aws.ec2 import Backend, Ec2, Machine
from devtools.strict_aws.efs import Efs, answer_json
from devtools.strict_aws.faults import DroppedError, Faults, Held
from devtools.strict_aws.identity import Identities
from devtools.strict_aws.limits import check_limits
from devtools.strict_aws.moto_app import moto_app
from devtools.strict_aws.quotas import Quotas, account_settings, check_quotas
from devtools.strict_aws.refusal import Refusal
from devtools.strict_aws.shapes import check_parameters
from devtools.strict_aws.wire import Call, error_response, read_call, scope_of
from devtools.strict_aws.world import ACCOUNT, World

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-canary-access-key"}
_SETUP_KEY = "AKIASETUPSETUPSETUP0"  # of `client`: what a test prepares or looks at is not under test

__all__ = ["ACCOUNT", "CREDENTIALS", "REGION", "Held", "Machine", "Sent", "StrictAws"]


@dataclass(frozen=True)
class Sent:
    """One request: "ec2:RunInstances", its parameters as they were sent, and what they are to boto3."""

    action: str
    parameters: Mapping[str, str]
    at: float
    call: Call | None = None


class StrictAws(Faults):
    """A context manager; ``environment`` makes SDKs use it. Leaving it raises what was refused and nobody expected.

    ``backends`` answer for services that moto is not to answer for, by botocore's names; ``quotas`` are the account's.
    """

    def __init__(self, backends: Mapping[str, Backend] | None = None, *, quotas: Quotas | None = None) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.refusals: list[Refusal] = []
        self.ec2, self.efs = Ec2(self._moto_answer), Efs(self._moto_answer)
        self._backends = dict(backends or {})
        self._quotas = quotas or Quotas()
        self.identities = Identities(World(self.client))
        self._moto = moto_app()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self.ec2.close()
        self.reset()
        if kind is None and self.refusals:
            raise AssertionError("AWS would refuse:\n" + "\n".join(str(refusal) for refusal in self.refusals))

    def reset(self) -> None:
        """Forget all resources; moto keeps them for the whole process."""
        self._moto_answer(EnvironBuilder("/moto-api/reset", method="POST").get_environ(), b"")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, *, region: str = REGION) -> Any:
        """A plain client, for what a test prepares or looks at: its requests are held to the rules, but not logged."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=_SETUP_KEY,
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def named(self, action: str) -> list[Sent]:
        """The requests for an action."""
        return [sent for sent in self.sent if sent.action == action]

    def answer_by(self, backends: Mapping[str, Backend]) -> None:
        """Let backends answer for services from now on."""
        self._backends |= backends

    def refused(self) -> tuple[Refusal, ...]:
        """Take out what was refused so far: a test that expects it calls this."""
        found = tuple(self.refusals)
        self.refusals.clear()
        return found

    # The front

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = Request(environ).get_data()
        call = read_call(environ, body)
        action = call.action if call else f"other:{environ['PATH_INFO']}"
        setup = call is not None and call.key == _SETUP_KEY
        if not setup:
            self.sent.append(Sent(action, call.flat if call else {}, time.monotonic(), call))
        try:
            answer = (None if setup else self.meet(action, "before")) or self._answer(call, environ, body)
            answer = (None if setup else self.meet(action, "after")) or answer
        except DroppedError:
            connection: socket.socket = environ["werkzeug.socket"]
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return []
        for header in ("x-amz-request-id",) if call and call.service == "s3" else ("x-amzn-RequestId",):
            answer.headers.setdefault(header, str(uuid.uuid4()))  # every answer of AWS's has one
        return answer(environ, start_response)

    def _answer(self, call: Call | None, environ: dict[str, Any], body: bytes) -> Response:
        if call is None:
            if (scope := scope_of(environ.get("HTTP_AUTHORIZATION", ""))) is not None:
                what = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                self.refusals.append(
                    Refusal(
                        scope[2],
                        "operation",
                        what,
                        "no operation of the service",
                        "UnknownOperation",
                        "botocore's models",
                    )
                )
            return self._moto_answer(environ, body)
        if refusal := self._refuse(self._broken_rules(call)):
            return error_response(call.service, refusal.code, refusal.answer, refusal.status)
        if (denial := self.identities.deny(call)) is not None:
            return denial
        own = {
            "sts:DecodeAuthorizationMessage": self.identities.decode,
            "iam:SimulatePrincipalPolicy": self.identities.simulate,
        }.get(call.action)
        if own is not None:
            return own(call)
        if call.service == "ec2":
            return self.ec2.answer(call, environ, body)
        if call.service not in self._backends:
            if call.service == "efs":
                return self.efs.answer(call, environ, body)
        elif call.action == "lambda:GetAccountSettings":
            return answer_json(account_settings(self._quotas))
        answer = self._backends.get(call.service, self._moto_answer)(environ, body)
        if call.action in {"s3:GetObject", "s3:HeadObject"} and answer.status_code == 404:
            answer = self.identities.hide_missing(call) or answer
        if call.action == "sts:AssumeRole" and answer.status_code == 200:
            self.identities.assume(call.parameters["RoleArn"], answer.get_data(as_text=True))
        return answer

    def _broken_rules(self, call: Call) -> Iterable[Refusal]:
        yield from check_parameters(call)
        yield from check_limits(call)
        yield from check_quotas(call, self._quotas)

    def _refuse(self, found: Iterable[Refusal]) -> Refusal | None:
        broken = list(found)
        self.refusals += broken
        return broken[0] if broken else None

    def _moto_answer(self, environ: Mapping[str, Any], body: bytes) -> Response:
        given = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return Response.from_app(self._moto, given, buffered=True)


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass
