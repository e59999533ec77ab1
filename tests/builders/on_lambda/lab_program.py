"""What client a of the NFS lab runs: a builder function on the NFS mount, killed and suspended; prints what came of it.

usage: python -m tests.builders.on_lambda.lab_program ROOT RUNTIME_CACHE PACKAGE SCRATCH KILLS
"""

import functools
import http.server
import json
import sys
import threading
from pathlib import Path

from efsprov.builders.lambda_package import Package
from efsprov.store.copy_record import file_system_type
from tests.builders.on_lambda.conftest import Bench, QuietHandler, Wheelhouse
from tests.builders.on_lambda.test_kills import Killer, wait_for_step
from tests.lambda_runtime import Bind, Runtime
from tests.lambda_runtime.calls import ACCESS_POINT
from tests.lambda_runtime.endpoint import LambdaEndpoint
from tests.local_aws import local_aws

STEPS = ("copy", "smoke", "copy", "publish", "activate")


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
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        archive = package.read_bytes()
        wheels = Wheelhouse(scratch, f"http://127.0.0.1:{server.server_address[1]}")
        bench = Bench(endpoint, local_aws(**{"lambda": endpoint.url}), root, Package(archive, len(archive)), wheels)
        bench.deploy(timeout=900, tmp=512)
        request = bench.request(bench.wheel("onnfs", files=600, size=24 << 20))

        def in_step(killer, at):
            step = STEPS[min(killer.killed, len(STEPS) - 1)]
            wait_for_step(killer, bench, request.run, step)
            killer.over.wait(0.2 if step == "copy" else 0)

        with Killer(bench, kills=kills, wait=in_step) as killer:
            result = bench.run(request)
        bench.assert_one_verified_release(result.release)
        told = {
            "release": result.release,
            "root": file_system_type(root),
            "killed": killer.killed,
            "invocations": bench.builds(),
            "copies": [event.message for event in bench.events if event.step == "copy" and event.state == "finished"],
        }
        print(json.dumps(told))
        server.shutdown()


if __name__ == "__main__":
    main()
