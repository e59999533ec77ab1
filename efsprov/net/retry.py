"""How often, how long and how eagerly efsprov tries again: named policies over tenacity."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

T = TypeVar("T")
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Policy:
    """When to try again: at most ``attempts`` times within ``seconds``, whichever ends first.

    The waits between are random, so that many clients do not come back at once, below a bound that doubles from
    ``first`` to ``longest`` seconds.
    """

    name: str
    attempts: int
    seconds: float
    first: float
    longest: float


THROTTLED: Final = Policy("throttled", attempts=8, seconds=120, first=0.5, longest=20)
"""AWS asked to slow down or failed on its own side (5xx), or the connection to it broke."""

EVENTUALLY_CONSISTENT: Final = Policy("eventually consistent", attempts=12, seconds=90, first=0.25, longest=10)
"""What was just created is not found yet: EC2 answers from replicas."""

IN_USE: Final = Policy("in use", attempts=40, seconds=300, first=1, longest=10)
"""What is to be deleted is still held by something that is going away: an instance's interface holds its group."""

RECONNECT: Final = Policy("reconnect", attempts=40, seconds=300, first=0.25, longest=15)
"""The connection to a host broke while it was at work."""


def call(
    policy: Policy, function: Callable[[], T], *, when: Callable[[BaseException], bool], sleep: Sleep = time.sleep
) -> T:
    """Return ``function()``, called again as the policy says after a failure for which ``when`` is true.

    The last failure is raised as it is, and so is any other at once.
    """
    return Retrying(
        retry=retry_if_exception(when),
        stop=stop_after_attempt(policy.attempts) | stop_after_delay(policy.seconds),
        wait=wait_random_exponential(multiplier=policy.first, max=policy.longest),
        sleep=sleep,
        reraise=True,
    )(function)


def wait_for(
    probe: Callable[[], T | None], *, seconds: float, longest: float = 5.0, sleep: Sleep = time.sleep
) -> T | None:
    """Return the first answer of ``probe`` that is not None; None when there was none in ``seconds``.

    It is asked at once and then at random waits that grow to ``longest`` seconds; what it raises is raised.
    """
    return Retrying(
        retry=retry_if_result(lambda answer: answer is None),
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=0.2, max=longest),
        sleep=sleep,
        retry_error_callback=lambda state: None,  # noqa: ARG005
    )(probe)
