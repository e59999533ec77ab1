"""AWS for tests: moto behind a front that adds what EC2 does and moto does not, breaks what may break, and logs what was asked.

EC2 keeps client tokens, shows what it launched only after a while, takes its time to terminate, and does not delete a
security group that an instance uses. Faults: an error instead of an answer, a reply or a request that is lost, a
request that is held back for as long as a test wants.
"""

import base64
import contextlib
import io
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

_EC2 = "http://ec2.amazonaws.com/doc/2016-11-15"
NOWHERE = "127.255.255.254"  # moto makes up addresses, which may be somebody's
REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-canary-access-key"}
_ERROR = """<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>\
</Errors><RequestID>{request}</RequestID></Response>"""
_REST = {  # EFS
    ("GET", "file-systems"): "DescribeFileSystems",
    ("POST", "file-systems"): "CreateFileSystem",
    ("GET", "mount-targets"): "DescribeMountTargets",
    ("POST", "mount-targets"): "CreateMountTarget",
    ("GET", "mount-targets/security-groups"): "DescribeMountTargetSecurityGroups",
    ("GET", "access-points"): "DescribeAccessPoints",
    ("POST", "access-points"): "CreateAccessPoint",
}
_SERVICES = {"2016-11-15": "ec2", "2011-06-15": "sts", "2010-05-08": "iam"}


@dataclass(frozen=True)
class Sent:
    """One request: "ec2:RunInstances", its parameters as they were sent, and the code of its answer, "" for success."""

    action: str
    parameters: dict[str, str]
    at: float


class Machine(Protocol):
    """What stands for a launched instance."""

    address: str

    def reason_it_died(self) -> str | None:
        """None while it runs."""
        ...

    def console(self) -> str: ...

    def kill(self) -> None: ...


@dataclass
class Held:
    """A request that waits at the front, before or after moto has executed it."""

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        assert self.arrived.wait(60), "the request did not come"


@dataclass
class _Rule:
    action: str
    times: int
    when: str  # "before" moto executes it or "after"
    act: Callable[[], Response | None]
    skip: int = 0


class _DroppedError(Exception):
    """The connection ends without a reply."""


class FakeAws:
    """A context manager; ``environment`` makes SDKs use it. ``launch_machine`` is called for each instance that is launched."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.launch_machine: Callable[[str, dict[str, str]], Machine] | None = None
        self.machines: dict[str, Machine] = {}
        self.unseen_answers = 0  # how many DescribeInstances do not know a new instance
        self.pending_answers = 1
        self.endpoint_group = ""  # of the EC2 Instance Connect Endpoint
        self.decoded: dict[str, str] = {}
        self._rules: list[_Rule] = []
        self._holds: list[Held] = []
        self._closed = False
        self._tokens: dict[str, tuple[dict[str, str], bytes]] = {}
        self._looks: dict[str, int] = {}
        self._ending: dict[str, int] = {}
        self._groups_of: dict[str, set[str]] = {}
        self._lock = threading.RLock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
        for held in self._holds:
            held.released.set()
        self._server.shutdown()
        self._server.server_close()
        for machine in self.machines.values():
            machine.kill()
        self.reset()

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

    def client(self, service: str) -> Any:
        """A plain client, for tests' own use."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def named(self, action: str) -> list[Sent]:
        return [sent for sent in self.sent if sent.action == action]

    # Faults

    def fail(
        self, action: str, code: str, message: str = "", *, status: int = 400, times: int = 1, skip: int = 0
    ) -> None:
        """Answer the next ``times`` requests, after ``skip`` others, with an error."""
        answer = _error(code, message or f"made up: {code}", status)
        self._rules.append(_Rule(action, times, "before", answer, skip))

    def lose_request(self, action: str, *, times: int = 1) -> None:
        self._rules.append(_Rule(action, times, "before", _drop))

    def lose_reply(self, action: str, *, times: int = 1) -> None:
        self._rules.append(_Rule(action, times, "after", _drop))

    def hold(self, action: str, *, when: str = "before", skip: int = 0) -> Held:
        held = Held()
        self._holds.append(held)

        def act() -> None:
            held.arrived.set()
            held.released.wait(120)

        self._rules.append(_Rule(action, 1, when, act, skip))
        return held

    # The front

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = Request(environ)
        body = request.get_data()
        action, parameters = _parse(request, body)
        self.sent.append(Sent(action, parameters, time.monotonic()))
        try:
            answer = self._matching(action, "before")
            if answer is None:
                answer = self._executed(action, parameters, environ, body)
                replaced = self._matching(action, "after")
                answer = replaced or answer
        except _DroppedError:
            connection: socket.socket = environ["werkzeug.socket"]
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return []
        return answer(environ, start_response)

    def _matching(self, action: str, when: str) -> Response | None:
        with self._lock:
            chosen = None
            for rule in self._rules:
                if rule.action == action and rule.when == when and rule.times:
                    if rule.skip:
                        rule.skip -= 1
                        continue
                    rule.times -= 1
                    chosen = rule
                    break
        return chosen.act() if chosen else None

    def _executed(self, action: str, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        own = {
            "ec2:RunInstances": self._run_instances,
            "ec2:DescribeInstances": self._describe_instances,
            "ec2:TerminateInstances": self._terminate_instances,
            "ec2:DeleteSecurityGroup": self._delete_security_group,
            "ec2:GetConsoleOutput": self._get_console_output,
            "ec2:DescribeInstanceConnectEndpoints": self._describe_instance_connect_endpoints,
            "sts:DecodeAuthorizationMessage": self._decode_authorization_message,
        }.get(action)
        return own(parameters, environ, body) if own else self._moto_answer(environ, body)

    def _moto_answer(self, environ: dict[str, Any], body: bytes) -> Response:
        given = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return Response.from_app(self._moto, given, buffered=True)

    def _run_instances(self, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        if parameters.get("DryRun") == "true":
            return self._moto_answer(environ, body)
        token = parameters["ClientToken"]
        asked = {key: value for key, value in parameters.items() if not key.startswith("X-Amz")}
        with self._lock:
            if self._closed:
                return _error("Unavailable", "The test is over.", 503)()
            if token in self._tokens:
                before, answer = self._tokens[token]
                if before != asked:
                    return _error("IdempotentParameterMismatch", "The token was used with other parameters.")()
                return Response(answer, content_type="text/xml")
            response = self._moto_answer(environ, body)
            if response.status_code != 200:
                return response
            self._tokens[token] = (asked, response.get_data())
            instance = re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", response.get_data(as_text=True))[0]
            self._looks[instance] = 0
            self._groups_of[instance] = {
                v for k, v in parameters.items() if re.fullmatch(r"NetworkInterface\.1\.SecurityGroupId\.\d+", k)
            }
            if self.launch_machine is not None:
                self.machines[instance] = self.launch_machine(instance, parameters)
        return response

    def _describe_instances(self, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        asked = parameters.get("InstanceId.1")
        with self._lock:
            if asked in self._looks:
                self._looks[asked] += 1
                if self._looks[asked] <= self.unseen_answers:
                    return _error("InvalidInstanceID.NotFound", f"The instance ID '{asked}' does not exist")()
            response = self._moto_answer(environ, body)
            if response.status_code == 200:
                response.set_data(self._as_it_is(response.get_data(as_text=True)))
        return response

    def _terminate_instances(self, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        response = self._moto_answer(environ, body)
        if response.status_code == 200:
            instance = parameters["InstanceId.1"]
            self._ending.setdefault(instance, 2)
            if machine := self.machines.get(instance):
                machine.kill()
        return response

    def _delete_security_group(self, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        group = parameters["GroupId"]
        for instance, groups in self._groups_of.items():
            gone = self._ending.get(instance) == 0 or (
                (machine := self.machines.get(instance)) is not None
                and machine.reason_it_died() is not None
                and instance not in self._ending
            )
            if group in groups and not gone:
                return _error("DependencyViolation", f"resource {group} has a dependent object")()
        return self._moto_answer(environ, body)

    def _get_console_output(self, parameters: dict[str, str], environ: dict[str, Any], body: bytes) -> Response:
        machine = self.machines.get(parameters["InstanceId"])
        text = base64.b64encode((machine.console() if machine else "").encode()).decode()
        return Response(
            f'<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{uuid.uuid4()}</requestId>'
            f"<instanceId>{parameters['InstanceId']}</instanceId><output>{text}</output></GetConsoleOutputResponse>",
            content_type="text/xml",
        )

    def _describe_instance_connect_endpoints(
        self, parameters: dict[str, str], environ: dict[str, Any], body: bytes
    ) -> Response:
        return Response(
            '<DescribeInstanceConnectEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
            "<instanceConnectEndpointSet><item><instanceConnectEndpointId>eice-1</instanceConnectEndpointId><securityGroupIdSet>"
            f"<item>{self.endpoint_group}</item></securityGroupIdSet></item></instanceConnectEndpointSet></DescribeInstanceConnectEndpointsResponse>",
            content_type="text/xml",
        )

    def _decode_authorization_message(
        self, parameters: dict[str, str], environ: dict[str, Any], body: bytes
    ) -> Response:
        decoded = self.decoded.get(parameters["EncodedMessage"])
        if decoded is None:
            return _error("AccessDenied", "not allowed to decode", 403)()
        text = decoded.replace("&", "&amp;").replace("<", "&lt;")
        return Response(
            '<DecodeAuthorizationMessageResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><DecodeAuthorizationMessageResult>'
            f"<DecodedMessage>{text}</DecodedMessage></DecodeAuthorizationMessageResult></DecodeAuthorizationMessageResponse>",
            content_type="text/xml",
        )

    def _as_it_is(self, text: str) -> str:
        """Put states and addresses of the machines into moto's answer."""
        ET.register_namespace("", _EC2)
        tree = ET.fromstring(text)
        for item in tree.iterfind(".//e:instancesSet/e:item", {"e": _EC2}):
            self._put_right(item)
        return ET.tostring(tree, encoding="unicode")

    def _put_right(self, item: ET.Element) -> None:
        def place(name: str) -> ET.Element:
            found = item.find(f"e:{name}", {"e": _EC2})
            return found if found is not None else ET.SubElement(item, f"{{{_EC2}}}{name}")

        instance = place("instanceId").text or ""
        machine, reason = self.machines.get(instance), ""
        address = machine.address if machine is not None and machine.address else NOWHERE
        place("ipAddress").text = place("privateIpAddress").text = address
        if instance in self._ending:
            state = "shutting-down" if self._ending[instance] else "terminated"
            self._ending[instance] = max(0, self._ending[instance] - 1)
        elif machine is not None and (reason := machine.reason_it_died() or ""):
            state = "terminated"
        elif self._looks.get(instance, 99) <= self.unseen_answers + self.pending_answers:
            state = "pending"
        else:
            return
        name = place("instanceState").find("e:name", {"e": _EC2})
        assert name is not None
        name.text = state
        if reason:
            told = place("stateReason")
            for child in list(told):
                told.remove(child)
            ET.SubElement(told, f"{{{_EC2}}}code").text = reason.partition(":")[0]
            ET.SubElement(told, f"{{{_EC2}}}message").text = reason


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass


def _error(code: str, message: str, status: int = 400) -> Callable[[], Response]:
    text = _ERROR.format(code=code, message=message, request=uuid.uuid4())
    return lambda: Response(text, status=status, content_type="text/xml", headers={"x-amzn-ErrorType": code})


def _drop() -> None:
    raise _DroppedError


def _parse(request: Request, body: bytes) -> tuple[str, dict[str, str]]:
    if target := request.headers.get("X-Amz-Target"):
        service, _, action = target.partition(".")
        return f"{'ssm' if service == 'AmazonSSM' else service}:{action}", {
            k: str(v) for k, v in json.loads(body or b"{}").items()
        }
    if request.path.startswith("/2015-02-01/"):
        parts = request.path.split("/")[2:]
        kind = "/".join(part for part in parts if "-" in part and not re.match(r"(fs|fsap|fsmt)-", part))
        named = {"Path": request.path, **request.args.to_dict()}
        return f"efs:{_REST.get((request.method, kind), kind)}", named
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return f"{_SERVICES.get(form.get('Version', ''), 'other')}:{form.get('Action', request.path)}", form


@contextlib.contextmanager
def fake_aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        yield aws
