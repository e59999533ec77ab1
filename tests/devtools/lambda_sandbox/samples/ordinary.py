# ruff: noqa: PTH109, PTH112, PTH123, PTH208
"""Handlers that do what the tests of the harness want to see done."""

import contextlib
import ctypes
import errno
import importlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

print("module loaded")
handled = 0


def echo(event, context):
    print("handling", event)
    return {
        "event": event,
        "request_id": context.aws_request_id,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }


def count(event, context):
    global handled  # noqa: PLW0603 - what a warm environment keeps
    handled += 1
    return handled


def describe(event, context):
    return {
        "executable": sys.executable,
        "packages": {folder: os.listdir(folder) for folder in sys.path if os.path.isdir(folder)},
        "cwd": os.getcwd(),
        "environ": dict(os.environ),
        "path": sys.path,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "root": sorted(os.listdir("/")),
        "arn": context.invoked_function_arn,
        "custom": context.client_context.custom if context.client_context else None,
    }


def fail(event, context):
    raise ValueError(f"no such thing: {event}")


def leave(event, context):
    """End the process: with an exit code, by a signal, or by touching memory that is not there."""
    if event == "crash":
        ctypes.string_at(0)
    if event < 0:
        os.kill(os.getpid(), -event)
    os._exit(event)


def linger(event, context):
    """Start a process that detaches itself, leave a file, and never answer."""
    Path("/tmp/left").write_text("before the time-out")
    subprocess.Popen(["sleep", "3600"], start_new_session=True)
    signal.pause()


def survey(event, context):
    """What another invocation has left behind."""
    return {"processes": sum(map(str.isdigit, os.listdir("/proc"))), "tmp": sorted(os.listdir("/tmp"))}


def write(event, context):
    """Write ``size`` bytes to ``path``; the name of the error if it cannot be done."""
    try:
        Path(event["path"]).write_bytes(bytes(event["size"]))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"


def allocate(event, context):
    try:
        return len(bytearray(event))
    except MemoryError:
        return "MemoryError"


def load(event, context):
    """The ``WHO`` of a module, or why it cannot be imported."""
    try:
        return importlib.import_module(event).WHO
    except ImportError as error:
        return str(error)


def big(event, context):
    return "x" * event


def tick(event, context):
    """Let a thread write into a file for ever."""

    def run():
        while True:
            with open(event, "a") as file:
                file.write(".")
            time.sleep(0.001)

    threading.Thread(target=run, daemon=True).start()


def meet(event, context):
    """Return once ``together`` invocations are here at the same time."""
    place = Path(event["place"])
    (place / context.aws_request_id).touch()
    while len(os.listdir(place)) < event["together"]:
        time.sleep(0.001)
    return context.log_stream_name


def hold(event, context):
    """Lock a file and never answer."""
    import fcntl

    with open(event, "w") as file, contextlib.suppress(KeyboardInterrupt):
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("held")
        file.flush()
        signal.pause()
