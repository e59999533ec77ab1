"""An orchestrator in a process of its own, to be killed. Usage: orchestrator.py SETTINGS REQUEST [STOP_AFTER_STEP]

Both are JSON. Prints what it is told, a line each; after the named step (its class's name) it prints "stopped" and waits.
"""

import json
import sys
import time

from efsprov.builders.ec2.builder import Ec2Builder
from efsprov.builders.ec2.launch import Timeouts
from efsprov.builders.ec2.settings import Ec2Settings
from efsprov.builders.ec2.steps import STEPS
from efsprov.core.build import BuildRequest
from efsprov.core.errors import EfsprovError
from tests.builders.conftest import StandIn


class Stopping:
    """A step that does not come back once it has done its work."""

    def __init__(self, step):
        self.title = step.title
        self._step = step

    def run(self, launch):
        self._step.run(launch)
        print("stopped", flush=True)
        time.sleep(600)


def main(settings: str, request: str, stop: str = "") -> int:
    steps = tuple(Stopping(step) if type(step).__name__ == stop else step for step in STEPS)
    timeouts = Timeouts(boot=60, prepare=60, terminate=60, inspect=0.3)
    builder = Ec2Builder(Ec2Settings(**json.loads(settings)), StandIn(), timeouts=timeouts, steps=steps)
    try:
        result = builder.run(BuildRequest.model_validate_json(request), lambda event: print(event.message, flush=True))
    except EfsprovError as error:
        print(f"{error.code}: {error}", flush=True)
        return error.exit_code
    print(result.model_dump_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
