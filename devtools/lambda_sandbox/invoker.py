# ruff: noqa: N803 - operations take boto3's own parameter names
"""Events on their way to environments: who handles which, how many at once, and what is tried again."""

import base64
import binascii
import contextlib
import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devtools.lambda_sandbox.environment import Invocation, LambdaEnvironment
from devtools.lambda_sandbox.function import Function
from devtools.lambda_sandbox.functions import Deployment, Functions
from devtools.lambda_sandbox.rest_json import ServiceError
from devtools.lambda_sandbox.runtime import Runtime
from devtools.lambda_sandbox.sandbox import Bind

MAX_PAYLOAD = {"RequestResponse": 6_291_456, "Event": 1_048_576}
ASYNC_ATTEMPTS = 3  # "Lambda retries function errors twice": lambda/latest/dg/invocation-async-error-handling.html
TAIL = 4096

Mounts = Mapping[str, Path | Bind]


class Invoker:
    """Handles Invoke. ``invocations`` has what came of every event, asynchronous ones and their retries too."""

    def __init__(
        self, functions: Functions, runtimes: Mapping[str, Runtime], mounts: Mounts, architecture: str, concurrency: int
    ) -> None:
        self.invocations: list[Invocation] = []
        self.mount_timeouts = 0
        self._functions, self._runtimes, self._mounts = functions, runtimes, mounts
        self._architecture, self._concurrency = architecture, concurrency
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[Deployment, LambdaEnvironment]]] = defaultdict(list)
        self._environments: set[LambdaEnvironment] = set()
        self._busy: dict[str, int] = defaultdict(int)
        self._closed = False
        self._events: list[threading.Thread] = []

    def invoke(
        self,
        *,
        FunctionName: str,
        InvocationType: str = "RequestResponse",
        LogType: str = "None",
        ClientContext: str | None = None,
        Payload: bytes = b"",
        Qualifier: str = "$LATEST",
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
        body = check_payload(Payload or b"{}", InvocationType)
        context = decode_context(ClientContext)
        if Qualifier != "$LATEST":
            raise ServiceError("ResourceNotFoundException", f"Function not found: {FunctionName}:{Qualifier}")
        self._functions.serving(FunctionName)
        request_id = str(uuid.uuid4())
        if InvocationType == "DryRun":
            return {"StatusCode": 204}
        if InvocationType == "Event":
            arguments = (FunctionName, body, context, request_id)
            event = threading.Thread(target=self._handle_event, args=arguments, daemon=True)
            event.start()
            self._events.append(event)
            return {"StatusCode": 202}
        answer = self._run(FunctionName, body, context, request_id)
        result = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": answer.body}
        if answer.failed:
            result["FunctionError"] = "Unhandled"
        if LogType == "Tail":
            result["LogResult"] = base64.b64encode(answer.logs.encode()[-TAIL:]).decode()
        return result

    def wait_for_events(self) -> None:
        """Until every asynchronous event that was accepted has been handled, or given up."""
        while self._events:
            self._events.pop().join()

    def kill(self, function: str) -> None:
        """SIGKILL to what handles events of the function (its plain name) at this moment."""
        with self._lock:
            idle = {environment for kept in self._idle.values() for _, environment in kept}
            busy = [one for one in self._environments - idle if one.function.name == function]
        for environment in busy:
            environment.kill()

    def close(self) -> None:
        """End all environments, also those at work."""
        with self._lock:
            self._closed = True
            environments, self._environments = self._environments, set()
        for environment in environments:
            environment.close()
        self.wait_for_events()

    def _handle_event(self, name: str, body: bytes, context: str | None, request_id: str) -> None:
        # Nobody waits for an answer: a function that is deleted in the meantime ends the matter.
        with contextlib.suppress(ServiceError):
            for _ in range(ASYNC_ATTEMPTS):
                if not self._run(name, body, context, request_id).failed:
                    break

    def _run(self, name: str, body: bytes, context: str | None, request_id: str) -> Invocation:
        record, deployment = self._functions.serving(name)
        environment = self._take(record.arn, deployment)
        try:
            answer = environment.invoke(body=body, client_context=context, request_id=request_id)
        except BrokenPipeError as error:
            raise closed() from error
        finally:
            self._give_back(record.arn, deployment, environment)
        self.invocations.append(answer)
        return answer

    def _take(self, arn: str, deployment: Deployment) -> LambdaEnvironment:
        """A warm environment of this deployment, else a new one; those of other deployments end."""
        with self._lock:
            if self._busy[arn] >= self._concurrency:
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
                raise ServiceError("TooManyRequestsException", "Rate Exceeded.", Reason=reason)
            self._busy[arn] += 1
            idle = self._idle.pop(arn, [])
            warm = [environment for made_from, environment in idle if made_from is deployment]
            stale = [environment for made_from, environment in idle if made_from is not deployment]
            self._environments.difference_update(stale)
            self._idle[arn] = [(deployment, environment) for environment in warm[1:]]
        for environment in stale:
            environment.close()
        if warm:
            return warm[0]
        try:
            return self._make(arn, deployment)
        except BaseException:
            with self._lock:
                self._busy[arn] -= 1
            raise

    def _make(self, arn: str, deployment: Deployment) -> LambdaEnvironment:
        environment = LambdaEnvironment(self._function(arn.rpartition(":")[2], deployment))
        with self._lock:
            if not self._closed:
                self._environments.add(environment)
                return environment
        environment.close()
        raise closed()

    def _give_back(self, arn: str, deployment: Deployment, environment: LambdaEnvironment) -> None:
        with self._lock:
            self._busy[arn] -= 1
            self._idle[arn].append((deployment, environment))

    def _function(self, name: str, deployment: Deployment) -> Function:
        settings = deployment.settings
        runtime = self._runtimes.get(settings["Runtime"])
        if runtime is None or settings["Architectures"] != [self._architecture]:
            wanted = f"{settings['Runtime']} for {settings['Architectures'][0]}"
            raise ServiceError("InvalidParameterValueException", f"functions of {wanted} cannot run on this machine")
        return Function(
            runtime=runtime,
            code=deployment.package.folder,
            handler=settings["Handler"],
            name=name,
            variables=settings.get("Environment", {}).get("Variables", {}),
            layers=[layer.package.folder for layer in deployment.layers],
            mounts=dict(map(self._mount, settings.get("FileSystemConfigs", []))),
            timeout=settings["Timeout"],
            memory_mb=settings["MemorySize"],
            tmp_mb=settings["EphemeralStorage"]["Size"],
        )

    def _mount(self, config: Mapping[str, str]) -> tuple[str, Bind]:
        if self.mount_timeouts > 0:
            self.mount_timeouts -= 1
            message = "The function couldn't mount the EFS file system: the operation timed out."
            raise ServiceError("EFSMountTimeoutException", message)
        target, arn = config["LocalMountPath"], config["Arn"]
        mounted = self._mounts.get(arn) or self._mounts.get(arn.rpartition("/")[2])
        if mounted is None:
            raise ServiceError("EFSMountFailureException", f"The function couldn't mount the EFS file system {arn}.")
        if isinstance(mounted, Bind):
            return target, Bind(mounted.source, target, read_only=mounted.read_only)
        return target, Bind(mounted, target, read_only=False)


def closed() -> ServiceError:
    """For what was under way when the endpoint was closed."""
    return ServiceError("ServiceException", "the endpoint was closed")


def check_payload(payload: bytes, invocation_type: str) -> bytes:
    """Lambda takes JSON of a limited size."""
    most = MAX_PAYLOAD.get(invocation_type, MAX_PAYLOAD["RequestResponse"])
    if len(payload) > most:
        message = (
            f"{len(payload)} byte payload is too large for the {invocation_type} invocation type (limit {most} bytes)"
        )
        raise ServiceError("RequestTooLargeException", message)
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise ServiceError("InvalidRequestContentException", message) from error
    return payload


def decode_context(header: str | None) -> str | None:
    """The JSON text of the client context, which is sent in base64."""
    try:
        return base64.b64decode(header, validate=True).decode() if header else None
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError("InvalidRequestContentException", "Client context must be base64 of JSON") from error
