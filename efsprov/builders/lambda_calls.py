"""The orchestrator's calls of the builder function: one request each, and what became of it."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from typing import Any, Final, Literal

from efsprov.aws.errors import code_of
from efsprov.aws.functions import client
from efsprov.aws.session import Aws
from efsprov.builders.remote import wire
from efsprov.core.errors import AwsError, BuilderError
from efsprov.core.retry import Policy

_ONCE: Final = Policy("once", attempts=1, seconds=1, first=0, longest=0)
_BUILD_SECONDS: Final = 910  # Lambda's longest run, and a little for the answer's way
_ASK_SECONDS: Final = 60
# Refused before the function ran, so that the same may be asked again.
_NOT_RUN: Final = frozenset(
    {
        "TooManyRequestsException",
        "EFSMountTimeoutException",  # the first mount after a file system was made may take too long
        "EFSMountConnectivityException",
        "EFSIOException",
        "EC2ThrottledException",
        "ENILimitReachedException",
        "ResourceNotReadyException",
        "ResourceConflictException",  # the function is being changed
    }
)
_MEMORY: Final = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")

Kind = Literal["answer", "timeout", "memory", "died", "not run", "unknown"]


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    ``kind``: the handler answered with ``answer``; it was killed at its time-out, ran out of memory, or died otherwise;
    it was not run at all; or nobody knows, since the connection broke. ``why`` is AWS's word for what is no answer.
    """

    kind: Kind
    answer: Mapping[str, Any]
    why: str = ""


def call(aws: Aws, function: str, do: str, *, seconds: float = _ASK_SECONDS, **event: Any) -> Outcome:
    """Send one event in one request and wait for its end.

    Raises ``AwsError`` for what another attempt does not mend, and the error with which the handler refused.
    """
    # A request that runs into its read time-out is not sent again: that would be a second build. The connection is
    # silent for up to 15 minutes, and NAT gateways forget silent ones after 350 s: hence the keep-alive.
    awslambda = client(aws, read_timeout=seconds, tcp_keepalive=True)
    payload = json.dumps({"efsprov": installed_version("efsprov"), "do": do, **event}).encode()
    try:
        told = replace(aws, throttled=_ONCE).call(
            lambda: awslambda.invoke(FunctionName=function, Payload=payload, LogType="Tail")
        )
    except AwsError as error:
        return _not_answered(error)
    answer = json.loads(told["Payload"].read() or b"null")
    if "FunctionError" in told:
        return _failed(answer, base64.b64decode(told.get("LogResult", "")).decode("utf-8", "replace"))
    if not isinstance(answer, dict) or "status" not in answer:
        raise BuilderError(
            f"Function {function} is no builder function: it answered {str(answer)[:80]}.",
            hint="`efsprov builder deploy --function NAME` makes one.",
        )
    if answer["status"] == "refused":
        wire.read_result(wire.Line(0, "error", answer["error"]))  # raises it
    return Outcome("answer", answer)


def call_build(aws: Aws, function: str, **event: Any) -> Outcome:
    """Have the function build, for as long as Lambda lets it; see ``call``."""
    return call(aws, function, "build", seconds=_BUILD_SECONDS, **event)


def look(aws: Aws, function: str, root: str) -> Mapping[str, Any]:
    """Return what the builder function sees at ``root``; raises ``BuilderError`` when it cannot look."""
    found = call(aws, function, "look", root=root)
    if found.kind != "answer":
        raise BuilderError(f"Function {function} cannot look at {root}: {found.why}.", hint="Try again in a minute.")
    return found.answer


def _not_answered(error: AwsError) -> Outcome:
    code = code_of(error)
    if code in _NOT_RUN:
        return Outcome("not run", {}, error.message)
    if not code or code == "ServiceException":  # a broken connection, or Lambda itself
        if isinstance(error.__cause__, Exception) and "credentials" in error.message:
            raise error
        return Outcome("unknown", {}, error.message)
    raise error


def _failed(answer: Any, log: str) -> Outcome:
    told = answer if isinstance(answer, dict) else {}
    kind, message = str(told.get("errorType", "")), str(told.get("errorMessage", "no reason given"))
    if "Timedout" in kind or "timed out" in message:
        return Outcome("timeout", {}, message)
    memory = _MEMORY.search(log)
    if "OutOfMemory" in kind or (memory and int(memory[2]) >= int(memory[1])):
        return Outcome("memory", {}, message)
    return Outcome("died", {}, message)
