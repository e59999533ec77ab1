"""Runs one step of an optimisation with a release's own packages; started by efsprov in a fresh interpreter.

usage: python -I -S -B work.py REQUEST.json ANSWER.json

The request is ``{"sites": [...], "do": NAME, ...}``; the answer what the step returns, or ``{"error": TEXT}`` for what the
user can change. These files run on CPython 3.9 to 3.14 with whatever the release holds, and import nothing of efsprov.
"""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

STEPS = {
    "prune": "prune_keras",
    "tflite": "to_tflite",
    "onnx": "to_onnx",
    "quantize-onnx": "quantize_onnx",
    "measure": "measure",
}


def main() -> None:
    """Run the step."""
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path[:0] = request["sites"]
    make_package()
    problems = importlib.import_module("efsprov.models.in_release.problems")
    try:
        answer = importlib.import_module(f"efsprov.models.in_release.{STEPS[request['do']]}").run(request)
    except problems.ProblemError as error:
        answer = {"error": str(error)}
    except ModuleNotFoundError as error:
        answer = {"error": f"the release has no {error.name}"}
    Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")


def make_package() -> None:
    """Let these files import each other by their names, without the folder that efsprov and its packages lie in."""
    for name in ("efsprov", "efsprov.models", "efsprov.models.in_release"):
        package = ModuleType(name)
        package.__path__ = [str(Path(__file__).parent)] if name.endswith("in_release") else []
        sys.modules[name] = package


if __name__ == "__main__":
    main()
