"""The process that builds: reads the message that started the run, and writes lines without numbers to its stdout."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import Field

from efsprov.builders.remote import wire
from efsprov.core.build import BuildRequest, BuildResult
from efsprov.core.errors import CancelledError, EfsprovError
from efsprov.core.events import Emit, Event
from efsprov.core.frozen import Exact


class Build(Protocol):
    """What does the work."""

    def __call__(self, request: BuildRequest, *, emit: Emit) -> BuildResult:
        """Build, telling ``emit``; raises ``EfsprovError``."""
        ...


class StartMessage(Exact):
    """What starts a run: the request, what else the build's environment holds, and the seconds it may take."""

    request: BuildRequest
    environment: Mapping[str, str] = Field(default_factory=dict)
    seconds: float = 7200


def work(load_build: Callable[[], Build]) -> int:
    """Run the build that stdin asks for; returns the process's exit code.

    Lines go to what is stdout at the start; from then on stdout is stderr, for the programs that the build runs and
    that print as they like.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may have inherited "ignore"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    message = StartMessage.model_validate_json(sys.stdin.buffer.read())
    lines = os.dup(1)
    os.dup2(2, 1)
    os.environ.update(message.environment)

    def say(kind: wire.Kind, body: Mapping[str, Any]) -> None:
        text = json.dumps({kind: body}).encode() + b"\n"
        while text:
            text = text[os.write(lines, text) :]

    def emit(event: Event) -> None:
        say("event", wire.event_body(event))

    try:
        result = load_build()(message.request, emit=emit)
    except EfsprovError as error:
        say("error", wire.error_body(error))
    except KeyboardInterrupt:
        say("error", wire.error_body(CancelledError("Cancelled.", hint="The root is as it was.")))
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, the orchestrator has to hear of it
        say("error", wire.bug_body(error))
    else:
        say("result", result.model_dump(mode="json"))
        return 0
    return 1
