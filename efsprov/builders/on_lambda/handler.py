"""What runs inside the builder function: the handler that builds, tells how a build is doing, and looks at the root.

Events, each with ``efsprov`` (the orchestrator's version) and ``do``:

- ``build``: ``root`` and ``request`` (a BuildRequest), or the id ``run`` of one that was asked before
- ``follow``: ``root``, ``run``, ``after``: the run's lines from number ``after`` + 1 on
- ``cancel``: ``root``, ``run``
- ``look``: ``root``: the channels, and the room on the file system

Answers have ``status``. Of a build: "ended" (the last of ``lines`` is its result or its error), "continue" (time ran
short: invoke again), "elsewhere" (another invocation is at work on this very run), "busy" (another publisher holds
the channel).
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from efsprov.builders.on_lambda.run import RunLog, RunRecord, plain, sweep
from efsprov.builders.remote import wire
from efsprov.core.build import BuildRequest
from efsprov.core.errors import BuilderError, BusyError, CancelledError, EfsprovError
from efsprov.core.events import Event, Suspended
from efsprov.functions.channels import read_channels
from efsprov.functions.disk_space import read_disk_space
from efsprov.pipeline.run import build
from efsprov.store.layout import Root

_SCRATCH: Final = Path("/tmp/efsprov")  # noqa: S108 - the one writable place in Lambda, and nobody else's
_MARGIN_SECONDS: Final = 45.0
_MARGIN_SHARE: Final = 0.2
"""Time kept to stop in good order: the copy waits for files under way, up to 10 s, and notes them."""
_PROGRESS_SECONDS: Final = 1.0
_CANCEL_SECONDS: Final = 2.0
_MOST_LINES: Final = 2000
"""Lines in one answer: Lambda carries 6 MB, and whoever wants more asks again."""

Answer = dict[str, Any]


class Context(Protocol):
    """What Lambda hands to a handler, as far as it is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda kills this environment."""


def handler(event: Mapping[str, Any], context: Context) -> Answer:
    """Answer one event; see the module's text. Raises nothing on purpose: failures are answers, too."""
    try:
        own = installed_version("efsprov")
        if event.get("efsprov") != own:
            raise BuilderError(
                f"The builder function holds efsprov {own}, this is efsprov {event.get('efsprov')}.",
                hint="`efsprov builder deploy` brings the function up to date.",
            )
        return _DO[str(event["do"])](event, context)
    except EfsprovError as error:
        return {"status": "refused", "error": wire.error_body(error)}


def _build(event: Mapping[str, Any], context: Context) -> Answer:
    requested, root, after = event.get("request"), event["root"], int(event.get("after", 0))
    record = RunRecord.of(root, event["run"])
    Root.open(Path(root), writing=True)
    if requested is None:
        record.request()  # refused where there is no such run
    sweep(root)
    try:
        with record.held():
            if requested is not None:
                record.keep_request(_checked(requested).model_dump_json())
            request = BuildRequest.model_validate_json(record.request())
            status = _work(record, request, context)
    except BlockingIOError:
        status = "elsewhere"
    return _reported(record, status, after)


def _work(record: RunRecord, request: BuildRequest, context: Context) -> str:
    """Build, with the run held; return the status. A run that has ended already is not done again."""
    if any(line.last for line in record.lines()):
        return "ended"
    _free_disk_space()
    log = RunLog(record)
    try:
        # Waiting for another publisher costs as much as building: it is left to the orchestrator.
        result = build(request.model_copy(update={"wait": False}), emit=_Teller(record, log, context))
    except Suspended:
        return "continue"
    except BusyError as error:
        if request.wait:
            return "busy"
        log.add("error", wire.error_body(error))
    except EfsprovError as error:
        log.add("error", wire.error_body(error))
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, the orchestrator has to hear of it
        log.add("error", wire.bug_body(error))
    else:
        log.add("result", result.model_dump(mode="json"))
    finally:
        log.close()
    return "ended"


class _Teller:
    """Takes the events of a build: writes them to the run's log, and stops the build where it may and must stop."""

    def __init__(self, record: RunRecord, log: RunLog, context: Context) -> None:
        self._record, self._log, self._context = record, log, context
        self._margin = min(_MARGIN_SECONDS * 1000, context.get_remaining_time_in_millis() * _MARGIN_SHARE)
        self._reported: dict[str, float] = {}
        self._inspected_at = float("-inf")  # the run may be cancelled already

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.state != "progress":
            line = self._log.add("event", wire.event_body(event))
            sys.stdout.write(line.dump().decode())
        elif now - self._reported.get(event.step, 0.0) >= _PROGRESS_SECONDS:
            self._reported[event.step] = now
            self._log.add("event", wire.event_body(event))
        about_to_publish = event.step == "publish" and event.state == "started"
        if about_to_publish or now - self._inspected_at >= _CANCEL_SECONDS:
            self._inspected_at = now
            if event.step != "activate" and self._record.cancelled:
                raise CancelledError("Cancelled.", hint="The root is as it was; run the command again to go on.")
        if event.step in {"publish", "activate"}:
            return  # from here on it is a matter of seconds, and stopping would only lose them
        if self._context.get_remaining_time_in_millis() <= self._margin:
            raise Suspended


def _follow(event: Mapping[str, Any], context: Context) -> Answer:
    del context
    record = RunRecord.of(event["root"], event["run"])
    at_work = record.at_work  # asked before the log is read: what was written last is then in there
    return _reported(record, "running" if at_work else "idle", int(event.get("after", 0)))


def _cancel(event: Mapping[str, Any], context: Context) -> Answer:
    record = RunRecord.of(event["root"], event["run"])
    record.request()
    record.ask_to_cancel()
    try:
        with record.held():  # nobody is at it, so nobody else can say how it ended
            if not any(line.last for line in record.lines()):
                log = RunLog(record)
                log.add("error", wire.error_body(CancelledError("Cancelled.", hint="Run the command again to go on.")))
                log.close()
    except BlockingIOError:
        pass
    return _follow(event, context)


def _inspect(event: Mapping[str, Any], context: Context) -> Answer:
    del context
    root = Path(event["root"])
    channels = [facts.model_dump(mode="json") for facts in read_channels(root)]
    return {"status": "seen", "channels": channels, "disk_space": asdict(read_disk_space(root))}


def _reported(record: RunRecord, status: str, after: int) -> Answer:
    every = record.lines()
    if any(line.last for line in every):
        status = "ended"
    return {"status": status, "lines": [plain(line) for line in every if line.number > after][:_MOST_LINES]}


def _checked(requested: Any) -> BuildRequest:
    try:
        return BuildRequest.model_validate(requested)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BuilderError(f"The request is not one: {'.'.join(map(str, first['loc']))} {first['msg']}.") from error


def _free_disk_space() -> None:
    """Clear what a killed build left in /tmp, which outlives its process; the cache of wheels stays."""
    os.environ["EFSPROV_CACHE"] = str(_SCRATCH)
    os.environ["HOME"] = str(_SCRATCH)
    _SCRATCH.mkdir(exist_ok=True)
    shutil.rmtree(_SCRATCH / "scratch", ignore_errors=True)


_DO: Final[Mapping[str, Callable[[Mapping[str, Any], Context], Answer]]] = {
    "build": _build,
    "follow": _follow,
    "cancel": _cancel,
    "inspect": _inspect,
}
