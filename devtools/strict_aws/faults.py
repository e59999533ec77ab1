"""What goes wrong between a client and AWS, at any request: errors, requests and replies that are lost, and such that wait."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug.wrappers import Response

from devtools.strict_aws.wire import error_response


class DroppedError(Exception):
    """The connection ends without a reply."""


@dataclass
class Held:
    """A request that waits, before or after it is executed."""

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        assert self.arrived.wait(60), "the request did not come"


@dataclass
class _Rule:
    action: str
    times: int
    when: str  # "before" it is executed or "after"
    act: Callable[[], Response | None]
    skip: int = 0


class Faults:
    """Which requests meet a fault. Each method lets the next ``times`` of an action meet it, after ``skip`` others."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._holds: list[Held] = []
        self._lock = threading.Lock()

    def fail(
        self, action: str, code: str, message: str = "", *, status: int = 400, times: int = 1, skip: int = 0
    ) -> None:
        """An error instead of an answer."""
        service = action.partition(":")[0]

        def answer() -> Response:
            return error_response(service, code, message or f"made up: {code}", status)

        self._add(_Rule(action, times, "before", answer, skip))

    def lose_request(self, action: str, *, times: int = 1, skip: int = 0) -> None:
        self._add(_Rule(action, times, "before", _drop, skip))

    def lose_reply(self, action: str, *, times: int = 1, skip: int = 0) -> None:
        self._add(_Rule(action, times, "after", _drop, skip))

    def hold(self, action: str, *, when: str = "before", skip: int = 0) -> Held:
        held = Held()
        self._holds.append(held)

        def act() -> None:
            held.arrived.set()
            held.released.wait(120)

        self._add(_Rule(action, 1, when, act, skip))
        return held

    def forget(self) -> int:
        """Drop the rules that no request has met; return how many there were."""
        with self._lock:
            left = sum(rule.times > 0 for rule in self._rules)
            self._rules.clear()
        return left

    def release(self) -> None:
        """Let go of all that waits."""
        for held in self._holds:
            held.released.set()

    def meet(self, action: str, when: str) -> Response | None:
        """What the rule for this request answers in AWS's place; None where there is none. Raises ``DroppedError``."""
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

    def _add(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)


def _drop() -> None:
    raise DroppedError
