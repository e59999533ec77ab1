"""What EC2 does and moto does not: it keeps client tokens, shows what it launched only after a while, takes its time to
terminate, and does not delete a security group that an instance uses.

https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html and ec2-api-idempotency.html
"""

import base64
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from xml.etree import ElementTree as ET

from werkzeug.wrappers import Response

from devtools.strict_aws.moto_app import is_elsewhere
from devtools.strict_aws.wire import Call, error_response

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"
NOWHERE = "127.255.255.254"  # moto makes up addresses, which may be somebody's
Backend = Callable[[Mapping[str, Any], bytes], Response]


class Machine(Protocol):
    """What stands for a launched instance."""

    address: str

    def reason_it_died(self) -> str | None:
        """None while it runs."""
        ...

    def console(self) -> str: ...

    def kill(self) -> None: ...


class Ec2:
    """In front of a backend that knows EC2's resources. ``launch_machine`` is called for each instance that is launched."""

    def __init__(self, backend: Backend) -> None:
        self.launch_machine: Callable[[str, dict[str, str]], Machine] | None = None
        self.machines: dict[str, Machine] = {}
        self.unseen_answers = 0  # how many DescribeInstances do not know a new instance
        self.pending_answers = 1
        self.endpoint_group = ""  # of the EC2 Instance Connect Endpoint
        self.endpoint_keeps_address = False
        self._backend = backend
        self._closed = False
        self._tokens: dict[str, tuple[dict[str, str], bytes]] = {}
        self._looks: dict[str, int] = {}
        self._ending: dict[str, int] = {}
        self._groups_of: dict[str, set[str]] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Launch nothing any more, and end what was launched."""
        with self._lock:
            self._closed = True
        for machine in self.machines.values():
            machine.kill()

    def answer(self, call: Call, environ: Mapping[str, Any], body: bytes) -> Response:
        """Answer a call of EC2's."""
        for image in (call.flat.get("ImageId", ""), call.flat.get("ImageId.1", "")):
            if is_elsewhere(image, call.region):
                return error_response("ec2", "InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
        own = {
            "RunInstances": self._run_instances,
            "DescribeInstances": self._describe_instances,
            "TerminateInstances": self._terminate_instances,
            "DeleteSecurityGroup": self._delete_security_group,
            "GetConsoleOutput": self._get_console_output,
            "DescribeInstanceConnectEndpoints": self._describe_instance_connect_endpoints,
        }.get(call.operation, self._other)
        return own(dict(call.flat), environ, body)

    def _other(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        return self._backend(environ, body)

    def _run_instances(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        if parameters.get("DryRun") == "true":
            return self._backend(environ, body)
        token = parameters["ClientToken"]
        request = {key: value for key, value in parameters.items() if not key.startswith("X-Amz")}
        with self._lock:
            if self._closed:
                return error_response("ec2", "Unavailable", "The test is over.", 503)
            if token in self._tokens:
                before, answer = self._tokens[token]
                if before != request:
                    return error_response(
                        "ec2", "IdempotentParameterMismatch", "The token was used with other parameters."
                    )
                return Response(answer, content_type="text/xml")
            response = self._backend(environ, body)
            if response.status_code != 200:
                return response
            self._tokens[token] = (request, response.get_data())
            instance = re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", response.get_data(as_text=True))[0]
            self._looks[instance] = 0
            self._groups_of[instance] = {
                v for k, v in parameters.items() if re.fullmatch(r"NetworkInterface\.1\.SecurityGroupId\.\d+", k)
            }
            if self.launch_machine is not None:
                self.machines[instance] = self.launch_machine(instance, parameters)
        return response

    def _describe_instances(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        request = parameters.get("InstanceId.1")
        with self._lock:
            if request in self._looks:
                self._looks[request] += 1
                if self._looks[request] <= self.unseen_answers:
                    return error_response(
                        "ec2", "InvalidInstanceID.NotFound", f"The instance ID '{request}' does not exist"
                    )
            response = self._backend(environ, body)
            if response.status_code == 200:
                response.set_data(self._as_it_is(response.get_data(as_text=True)))
        return response

    def _terminate_instances(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        instance = parameters["InstanceId.1"]
        if instance in self._ending:  # "each call succeeds": API_TerminateInstances; moto misses a network interface
            return Response(
                f'<TerminateInstancesResponse xmlns="{_NAMESPACE}/"><requestId>{uuid.uuid4()}</requestId><instancesSet>'
                f"<item><instanceId>{instance}</instanceId></item></instancesSet></TerminateInstancesResponse>",
                content_type="text/xml",
            )
        response = self._backend(environ, body)
        if response.status_code == 200:
            self._ending[instance] = 2
            if machine := self.machines.get(instance):
                machine.kill()
        return response

    def _delete_security_group(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        group = parameters["GroupId"]
        for instance, groups in self._groups_of.items():
            gone = self._ending.get(instance) == 0 or (
                (machine := self.machines.get(instance)) is not None
                and machine.reason_it_died() is not None
                and instance not in self._ending
            )
            if group in groups and not gone:
                return error_response("ec2", "DependencyViolation", f"resource {group} has a dependent object")
        return self._backend(environ, body)

    def _get_console_output(self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes) -> Response:
        machine = self.machines.get(parameters["InstanceId"])
        text = base64.b64encode((machine.console() if machine else "").encode()).decode()
        return Response(
            f'<GetConsoleOutputResponse xmlns="{_NAMESPACE}/"><requestId>{uuid.uuid4()}</requestId>'
            f"<instanceId>{parameters['InstanceId']}</instanceId><output>{text}</output></GetConsoleOutputResponse>",
            content_type="text/xml",
        )

    def _describe_instance_connect_endpoints(
        self, parameters: dict[str, str], environ: Mapping[str, Any], body: bytes
    ) -> Response:
        return Response(
            f'<DescribeInstanceConnectEndpointsResponse xmlns="{_NAMESPACE}/"><requestId>1</requestId>'
            "<instanceConnectEndpointSet><item><instanceConnectEndpointId>eice-1</instanceConnectEndpointId><securityGroupIdSet>"
            f"<item>{self.endpoint_group}</item></securityGroupIdSet><preserveClientIp>{str(self.endpoint_keeps_address).lower()}</preserveClientIp></item></instanceConnectEndpointSet></DescribeInstanceConnectEndpointsResponse>",
            content_type="text/xml",
        )

    def _as_it_is(self, text: str) -> str:
        """Put states and addresses of the machines into the backend's answer."""
        ET.register_namespace("", _NAMESPACE)
        tree = ET.fromstring(text)
        for item in tree.iterfind(".//e:instancesSet/e:item", {"e": _NAMESPACE}):
            self._put_right(item)
        return ET.tostring(tree, encoding="unicode")

    def _put_right(self, item: ET.Element) -> None:
        def place(name: str) -> ET.Element:
            found = item.find(f"e:{name}", {"e": _NAMESPACE})
            return found if found is not None else ET.SubElement(item, f"{{{_NAMESPACE}}}{name}")

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
        name = place("instanceState").find("e:name", {"e": _NAMESPACE})
        assert name is not None
        name.text = state
        if reason:
            reply = place("stateReason")
            for child in list(reply):
                reply.remove(child)
            ET.SubElement(reply, f"{{{_NAMESPACE}}}code").text = reason.partition(":")[0]
            ET.SubElement(reply, f"{{{_NAMESPACE}}}message").text = reason
