"""The lab's commands for programs in the guest: `on_a CMD`, `remount a`, `rpcs a`, `delay 3` and the rest."""

import json
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from devtools.nfs_lab.inside import links

FOLDER = "/run/lab"
SOCKET = ("127.0.0.1", 1)

_Parser = Callable[[Sequence[str]], dict[str, Any]]


def _no_arguments(_: Sequence[str]) -> dict[str, Any]:
    return {}


def _client(arguments: Sequence[str]) -> dict[str, Any]:
    return {"client": arguments[0]}


def _client_and_options(arguments: Sequence[str]) -> dict[str, Any]:
    return {"client": arguments[0], "options": arguments[1] if len(arguments) > 1 else None}


_COMMANDS: dict[str, _Parser] = {
    "remount": _client_and_options,
    "rpcs": _client,
    "delay": lambda arguments: {"milliseconds": float(arguments[0])},
    "drop_caches": _no_arguments,
    "partition": _client,
    "heal": _client,
    "cut": _client,
    "kill_server": _no_arguments,
    "start_server": _no_arguments,
    "restart_server": _no_arguments,
}


def install_commands(python: str) -> None:
    """Write each command as an executable file of its name into FOLDER."""
    folder = Path(FOLDER)
    folder.mkdir()
    repository = Path(__file__).parents[3]
    scripts = {
        name: f"#!/bin/sh\ncd '{repository}' && exec '{python}' -BESs -m {__name__} {name} \"$@\"\n"
        for name in _COMMANDS
    }
    for client in links.CLIENTS:
        scripts[f"on_{client}"] = f'#!/bin/sh\nexec nsenter --net={links.namespace(client)} "$@"\n'
    for name, text in scripts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


def main(argv: Sequence[str]) -> int:
    """Ask the agent, and print the counters if they were asked for; 1 with the reason on stderr when it refuses."""
    name, *arguments = argv
    try:
        request = {"request": name, **_COMMANDS[name](arguments)}
    except (IndexError, ValueError):
        sys.stderr.write(f"{name}: wrong arguments: {arguments}\n")
        return 2
    with socket.create_connection(SOCKET) as connection, connection.makefile("rw") as lines:
        lines.write(json.dumps(request) + "\n")
        lines.flush()
        answer = json.loads(lines.readline())
    if "error" in answer:
        sys.stderr.write(answer["error"] + "\n")
        return 1
    if name == "rpcs":
        sys.stdout.write(json.dumps(answer["result"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
