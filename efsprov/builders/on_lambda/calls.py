"""The orchestrator's calls of the builder function: one request each, and what became of it."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from typing import Any, Final, Literal

from efsprov.aws.errors import code_of, status_of
from efsprov.aws.functions import client
from efsprov.aws.session import Aws
from efsprov.builders.remote import wire
from efsprov.core.errors import AwsError, BuilderError
from efsprov.net.retry import Policy
from efsprov.net.retry import call as call_again

_ONCE: Final = Policy("once", attempts=1, seconds=1, first=0, longest=0)
_LOOK_AGAIN: Final = Policy("look again", attempts=6, seconds=60, first=0.5, longest=10)
_BUILD_SECONDS: Final = 910  # Lambda's longest run, and a little for the answer's way
_ASK_SECONDS: Final = 60
_SERVER_ERROR: Final = 500
# Refused before the function ran (Lambda API reference, "Invoke", Errors; botocore 1.44.5, 2026-11-26), so that the same may be asked again.
_NOT_RUN: Final = frozenset(
    {
        "TooManyRequestsException",
        "EFSMountTimeoutException",  # the first mount after a file system was made may take too long
        "EFSMountConnectivityException",
        "EFSIOException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "ENILimitReachedException",
        "ENINotReadyException",
        "SubnetIPAddressLimitReachedException",
        "CodeArtifactUserPendingException",  # Lambda still provisions what reads the code
        "ResourceNotReadyException",
        "ResourceConflictException",  # the function is being changed
    }
)
# Answers of 5xx that another attempt does not change: the function's own settings are at fault.
_ITS_SETTINGS: Final = frozenset(
    {
        *("KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException"),
        *("InvalidSecurityGroupIDException", "InvalidSubnetIDException", "EC2AccessDeniedException"),
        *("InvalidRuntimeException", "InvalidZipFileException"),
    }
)
_MEMORY: Final = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")

Kind = Literal["answer", "timeout", "memory", "died", "not run", "unknown"]


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    ``kind``: the handler answered with ``answer``; it was killed at its time-out, ran out of memory, or died otherwise;
    it was not run at all; or nobody knows, since the connection broke. ``why`` is AWS's word for what is not an answer.
    """

    kind: Kind
    answer: Mapping[str, Any]
    why: str = ""


def call(aws: Aws, function: str, do: str, *, seconds: float = _ASK_SECONDS, **event: Any) -> Outcome:
    """Send one event in one request and wait for its end.

    Raises ``AwsError`` for what another attempt does not fix, and the error with which the handler refused.
    """
    # A request that runs into its read time-out is not sent again: that would be a second build. The connection is
    # silent for up to 15 minutes; its keep-alive begins after two hours, which a NAT gateway does not wait for: see
    # `builder._Following._invoke`.
    awslambda = client(aws, read_timeout=seconds, tcp_keepalive=True)
    payload = json.dumps({"efsprov": installed_version("efsprov"), "do": do, **event}).encode()
    try:
        response = replace(aws, throttled=_ONCE).call(
            lambda: awslambda.invoke(FunctionName=function, Payload=payload, LogType="Tail")
        )
    except AwsError as error:
        return _not_answered(error)
    answer = json.loads(response["Payload"].read() or b"null")
    if "FunctionError" in response:
        return _failed(answer, base64.b64decode(response.get("LogResult", "")).decode("utf-8", "replace"))
    if not isinstance(answer, dict) or "status" not in answer:
        raise BuilderError(
            f"Function {function} is not a builder function: it answered {str(answer)[:80]}.",
            hint="`efsprov builder deploy --function NAME` makes one.",
        )
    if answer["status"] == "refused":
        wire.read_result(wire.Line(0, "error", answer["error"]))  # raises it
    return Outcome("answer", answer)


class _NoAnswerError(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome


def call_build(aws: Aws, function: str, **event: Any) -> Outcome:
    """Have the function build, for as long as Lambda lets it; see ``call``."""
    return call(aws, function, "build", seconds=_BUILD_SECONDS, **event)


def inspect_root(aws: Aws, function: str, root: str) -> Mapping[str, Any]:
    """Return what the builder function sees at ``root``; raises ``BuilderError`` when it cannot look.

    Looking may happen twice: it is asked again where it was not run (throttled, not ready yet) or nobody knows.
    """

    def ask() -> Outcome:
        found = call(aws, function, "inspect", root=root)
        if found.kind in {"not run", "unknown"}:
            raise _NoAnswerError(found)
        return found

    try:
        found = call_again(_LOOK_AGAIN, ask, when=lambda error: isinstance(error, _NoAnswerError))
    except _NoAnswerError as error:
        found = error.outcome
    if found.kind != "answer":
        raise BuilderError(f"Function {function} cannot look at {root}: {found.why}.", hint="Try again in a minute.")
    return found.answer


def _not_answered(error: AwsError) -> Outcome:
    code = code_of(error)
    if code in _NOT_RUN:
        return Outcome("not run", {}, error.message)
    status = status_of(error)
    if status >= _SERVER_ERROR and code not in _ITS_SETTINGS:  # Lambda itself, or what stands before it
        return Outcome("unknown", {}, error.message)
    if not code and not status and "credentials" not in error.message:  # a broken connection
        return Outcome("unknown", {}, error.message)
    raise error


def _failed(answer: Any, log: str) -> Outcome:
    response = answer if isinstance(answer, dict) else {}
    kind, message = str(response.get("errorType", "")), str(response.get("errorMessage", "no reason given"))
    if "Timedout" in kind or "timed out" in message:
        return Outcome("timeout", {}, message)
    memory = _MEMORY.search(log)
    if "OutOfMemory" in kind or (memory and int(memory[2]) >= int(memory[1])):
        return Outcome("memory", {}, message)
    return Outcome("died", {}, message)
