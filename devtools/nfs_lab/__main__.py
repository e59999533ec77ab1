"""`python -m devtools.nfs_lab`: run a command on NFS client a (and then b), print its output and the RPCs that it took."""

import argparse
import json
import os
import sys
from pathlib import Path

from devtools.nfs_lab.errors import LabError
from devtools.nfs_lab.guest import COMMANDS, MOUNT_OPTIONS, MOUNTS, SYSTEM_PATH, Client, Guest
from devtools.nfs_lab.mountstats import Rpcs


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.nfs_lab", description=__doc__)
    parser.add_argument("command", help="what bash runs on client a, in its cold mount of the export")
    parser.add_argument("--then-b", metavar="COMMAND", help="what bash runs on client b after that")
    parser.add_argument("--seed", type=Path, help="a folder whose contents the export starts with")
    parser.add_argument("--delay", type=float, default=0, metavar="MS", help="added to every round trip")
    parser.add_argument("--mount-options", default=MOUNT_OPTIONS)
    parser.add_argument("--seconds", type=float, default=600, help="time limit of each command")
    parser.add_argument("--memory", type=int, default=4096, metavar="MB")
    parser.add_argument("--disk", type=int, default=8, metavar="GB")
    parser.add_argument("--server-on", choices=("guest", "host"), default="guest", help="the host: as root only")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    return parser.parse_args()


def _table(client: Client, rpcs: Rpcs) -> str:
    lines = [f"client {client}: {rpcs.total} RPCs, {rpcs.read_bytes} bytes read, {rpcs.write_bytes} bytes written"]
    lines += [f"{count:>10}  {operation}" for operation, count in rpcs.ops.items()]
    return "\n".join(lines)


def main() -> int:
    """The exit code of the first command that failed, or 0; 70 when the lab itself failed."""
    arguments = _arguments()
    commands: dict[Client, str] = {"a": arguments.command}
    if arguments.then_b:
        commands["b"] = arguments.then_b
    # the host's file system is the guest's: its programs are found there as here
    environment = {"PATH": f"{COMMANDS}:{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
    documents = {}
    code = 0
    try:
        with Guest(
            delay_ms=arguments.delay,
            seed=arguments.seed,
            memory_mb=arguments.memory,
            disk_gb=arguments.disk,
            mount_options=arguments.mount_options,
            seconds=arguments.seconds * len(commands) + 300,
            server_on=arguments.server_on,
        ) as guest:
            for client, command in commands.items():
                before = guest.rpcs(client)
                argv = ["/bin/bash", "-c", command]
                done = guest.run(client, argv, env=environment, cwd=MOUNTS[client], timeout=arguments.seconds)
                rpcs = guest.rpcs(client) - before
                document = {"code": done.code, "stdout": done.stdout, "stderr": done.stderr, "rpcs": rpcs.as_json()}
                documents[client] = document
                if not arguments.json:
                    sys.stdout.write(done.stdout)
                    sys.stderr.write(f"{done.stderr}{_table(client, rpcs)}\n")
                if code := done.code:
                    break
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 70
    if arguments.json:
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
