"""Every fault at every call of a run: generated from the calls of a run without faults, not listed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from devtools.strict_aws.faults import Faults

# How services say that they are asked too often (their API references, "Common errors"; botocore's retry handler, 1.44.5).
_TOO_MUCH: Mapping[str, tuple[str, int]] = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "lambda": ("TooManyRequestsException", 429),
    **dict.fromkeys(("iam", "sts", "cloudwatch"), ("Throttling", 400)),
}


@dataclass(frozen=True)
class Call:
    """The call of an action that comes after ``before`` others of the same action."""

    action: str
    before: int

    def __str__(self) -> str:
        return f"{self.action} no. {self.before + 1}"


def _throttle(double: Faults, call: Call) -> None:
    code, status = _TOO_MUCH.get(call.action.partition(":")[0], ("ThrottlingException", 400))
    double.fail(call.action, code, "Rate exceeded", status=status, skip=call.before)


def _break(double: Faults, call: Call) -> None:
    double.fail(call.action, "InternalFailure", "An internal error has occurred", status=500, skip=call.before)


def _lose_request(double: Faults, call: Call) -> None:
    double.lose_request(call.action, skip=call.before)


def _lose_reply(double: Faults, call: Call) -> None:
    double.lose_reply(call.action, skip=call.before)


KINDS: Mapping[str, Callable[[Faults, Call], None]] = {
    "throttled": _throttle,
    "server error": _break,
    "lost request": _lose_request,
    "lost reply": _lose_reply,
}


def calls_of(actions: Iterable[str]) -> Iterator[Call]:
    """Number the calls of a run, a count an action: calls side by side come in any order."""
    seen: Counter[str] = Counter()
    for action in actions:
        yield Call(action, seen[action])
        seen[action] += 1
