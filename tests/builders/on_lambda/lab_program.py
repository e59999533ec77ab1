"""What client a of the NFS lab runs: a builder function on the NFS mount, killed and suspended; prints what came of it.

usage: python -m tests.builders.on_lambda.lab_program ROOT RUNTIME_CACHE PACKAGE SCRATCH KILLS
"""

import dataclasses
import faulthandler
import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from devtools.lambda_sandbox import Bind, Runtime
from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.nfs_lab import EXPORT
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from efsprov.builders.on_lambda.package import Package
from efsprov.store.copying.resume_log import file_system_type
from tests.builders.on_lambda.conftest import Bench, QuietHandler, Wheelhouse
from tests.builders.on_lambda.test_kills import Killer, wait_for_step
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT
from tests.local_aws import local_aws

STEPS = ("copy", "smoke", "copy", "publish", "activate")
STUCK_SECONDS = 600  # a busy machine takes three minutes


def tell_if_stuck(bench: Bench) -> None:
    """What the orchestrator, the function and the processes of this client have come to, when it takes too long."""
    time.sleep(STUCK_SECONDS)
    for event in bench.events[-40:]:
        print("event:", event, file=sys.stderr)
    for request in bench.endpoint.requests[-20:]:
        print("request:", request.operation, request.parameters.get("Payload", b"")[:80], file=sys.stderr)
    for invocation in bench.endpoint.invocations[-10:]:
        print("invocation:", invocation, file=sys.stderr)
    print(subprocess.run(["ps", "-eo", "pid,ppid,stat,wchan:30,etimes,args"], capture_output=True, text=True).stdout)
    sys.stdout.flush()


def main() -> None:
    root, cache, package, scratch = (Path(argument) for argument in sys.argv[1:5])
    kills = int(sys.argv[5])
    root.mkdir()
    scratch.mkdir()
    runtime = Runtime.prepare(Path(sys.executable), cache=cache)
    mounts = {ACCESS_POINT: Bind(root, "/mnt/efs", read_only=False)}
    handler = functools.partial(QuietHandler, directory=str(scratch))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        LambdaEndpoint({runtime.name: runtime}, mounts=mounts) as endpoint,
        StrictAws({"lambda": rest_json(endpoint)}) as double,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        archive = package.read_bytes()
        wheels = Wheelhouse(scratch, f"http://127.0.0.1:{server.server_address[1]}")
        bench = Bench(
            endpoint, double, local_aws(**{"lambda": double.url}), root, Package(archive, len(archive)), wheels
        )
        faulthandler.dump_traceback_later(STUCK_SECONDS)
        threading.Thread(target=tell_if_stuck, args=(bench,), daemon=True).start()
        bench.deploy(timeout=300, tmp=512)
        # The log is read where the server has it. A client that opens and closes it in a loop, as nobody but a test does,
        # starves the function's own open for ever: after a lost reply Linux waits for the one in between, five seconds from
        # the last change of the state (fs/nfs/nfs4proc.c, nfs_set_open_stateid_locked).
        watched = dataclasses.replace(bench, root=Path(EXPORT) / root.name)
        for name in ("onnfs", "onnfs2", "onnfs3"):  # a busy machine may be through a step before it is seen there
            for folder in root.iterdir():
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            before = bench.builds()
            request = bench.request(bench.wheel(name, files=600, size=24 << 20))

            def in_step(killer, at, run=request.run):
                step = STEPS[min(killer.killed, len(STEPS) - 1)]
                wait_for_step(killer, watched, run, step)
                killer.over.wait(0.2 if step == "copy" else 0)

            with Killer(bench, kills=kills, wait=in_step) as killer:
                result = bench.run(request)
            if killer.killed >= kills:
                break
        bench.assert_one_verified_release(result.release)
        response = {
            "release": result.release,
            "package": name,
            "root": file_system_type(root),
            "killed": killer.killed,
            "invocations": bench.builds() - before,
            "copies": [event.message for event in bench.events if event.step == "copy" and event.state == "finished"],
        }
        print(json.dumps(response))
        server.shutdown()


if __name__ == "__main__":
    main()
