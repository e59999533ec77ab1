"""What it takes to answer the first request with one small network, by four ways to run it.

usage: python benchmarks/model_choice.py [--lab] [--delay MS]

The network is the one of tests/models/train_cnn.py; PyTorch runs one of the same layers. For each way: the size of the
packages and of the model, the seconds from the start of a fresh interpreter to the first answer (packages on this machine's
disk, in the page cache), and the median time of a later answer. With ``--lab`` also what the same start costs on a cold NFS
mount, packages found through `sys.path`: remote procedure calls, bytes read, seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from devtools.nfs_lab import Guest, best_place_for_server
from tests.framework_root import FrameworkRoot, FrameworkRoots, plain_target

ROUNDS = 5
TRAIN = Path(__file__).parents[1] / "tests" / "models" / "train_cnn.py"
HEAD = """
import sys, time
began = time.perf_counter()
site, model = sys.argv[1:3]
sys.path.insert(0, site)
"""
TAIL = """
answer()
first = time.perf_counter() - began
taken = []
for _ in range(200):
    then = time.perf_counter()
    answer()
    taken.append(time.perf_counter() - then)
print("RESULT", first, sorted(taken)[100])
"""
PROGRAMS = {
    "tensorflow": """
import numpy as np, tensorflow as tf
serve = tf.saved_model.load(model).signatures["serving_default"]
picture = tf.constant(np.zeros((1, 24, 24, 1), np.float32))
name = next(iter(serve.structured_input_signature[1]))
answer = lambda: serve(**{name: picture})
""",
    "torch": """
import torch
network = torch.jit.load(model).eval()
picture = torch.zeros(1, 1, 24, 24)
def answer():
    with torch.inference_mode():
        network(picture)
""",
    "onnxruntime": """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
given = {session.get_inputs()[0].name: np.zeros((1, 24, 24, 1), np.float32)}
answer = lambda: session.run(None, given)
""",
    "tflite": """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model)
interpreter.allocate_tensors()
at = interpreter.get_input_details()[0]["index"]
picture = np.zeros((1, 24, 24, 1), np.float32)
def answer():
    interpreter.set_tensor(at, picture)
    interpreter.invoke()
""",
}
MAKE_TORCH = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import torch
from torch import nn
network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 6), nn.Softmax(1))
torch.jit.script(network.eval()).save(sys.argv[2])
""".replace("import sys, torch\n", "import sys\n", 1)
MAKE_SMALL = """
import sys
sys.path[:0] = sys.argv[1:3]
import numpy as np, tensorflow as tf, tf2onnx
folder = sys.argv[3]
data = np.load(folder + "/representative.npy")
converter = tf.lite.TFLiteConverter.from_saved_model(folder + "/savedmodel")
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([data[n : n + 1]] for n in range(len(data)))
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
open(folder + "/net.tflite", "wb").write(converter.convert())
keras = tf.keras.models.load_model(folder + "/net.keras", compile=False)
tf2onnx.convert.from_keras(keras, output_path=folder + "/net.onnx", opset=17)
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lab", action="store_true")
    options.add_argument("--delay", type=float, default=1.0, help="milliseconds added to each round trip in the lab")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="model-choice-") as folder, FrameworkRoots(Path(folder, "export")) as roots:
        sites = install(roots)
        models = make_models(Path(folder, "export", "models"), sites)
        rows = {way: measure_here(way, sites[way], models[way]) for way in PROGRAMS}
        if chosen.lab:
            for way, result in measure_lab(Path(folder, "export"), sites, models, chosen.delay).items():
                rows[way] |= result
    report(rows)


def install(roots: FrameworkRoots) -> dict[str, FrameworkRoot]:
    """Install the packages of each way."""
    links = [word for place in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", place)]
    wanted = {
        "tensorflow": (["tensorflow==2.15.0"], []),
        "torch": (["torch==2.13.0+cpu"], links),
        "onnxruntime": (["onnxruntime==1.23.2"], []),
        "tflite": (["ai-edge-litert==1.4.0"], []),
        "tf2onnx": (["tf2onnx==1.17.0", "onnx==1.17.0"], ["--no-deps"]),
    }
    return {way: roots.get(way, plain_target(), *what) for way, what in wanted.items()}


def make_models(folder: Path, sites: dict[str, FrameworkRoot]) -> dict[str, Path]:
    """Train the network and bring it into the format of each way."""
    run([TRAIN, sites["tensorflow"].site, folder])
    run(["-c", MAKE_SMALL, sites["tensorflow"].site, sites["tf2onnx"].site, folder])
    run(["-c", MAKE_TORCH, sites["torch"].site, folder / "net.pt"])
    names = {"tensorflow": "savedmodel", "torch": "net.pt", "onnxruntime": "net.onnx", "tflite": "net.tflite"}
    return {way: folder / name for way, name in names.items()}


def measure_here(way: str, root: FrameworkRoot, model: Path) -> dict[str, Any]:
    """Start it again and again on this machine."""
    starts, laters = [], []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        result = run(["-c", program(way), root.site, model])
        starts.append(time.perf_counter() - began)
        laters.append(float(result[2]))
    return {
        "packages": size_of(root.site),
        "files": sum(1 for each in root.site.rglob("*") if each.is_file()),
        "model": size_of(model),
        "start": statistics.median(starts[1:]),
        "later": statistics.median(laters[1:]),
    }


def measure_lab(
    export: Path, sites: dict[str, FrameworkRoot], models: dict[str, Path], delay: float
) -> dict[str, dict[str, Any]]:
    """Start it once each on a cold mount of the NFS lab."""
    result = {}
    with Guest(seed=export, delay_ms=delay, server_on=best_place_for_server()) as guest:
        for way in PROGRAMS:
            guest.remount("a")
            guest.drop_caches()
            places = [f"/mnt/a/{path.relative_to(export)}" for path in (sites[way].site, models[way])]
            before, began = guest.rpcs("a"), time.monotonic()
            guest.run("a", [sys.executable, *FLAGS, "-c", program(way), *places], timeout=900, check=True)
            spent = guest.rpcs("a") - before
            result[way] = {"rpcs": spent.total, "read": spent.read_bytes, "lab": time.monotonic() - began}
    return result


FLAGS = ("-I", "-S", "-B")


def program(way: str) -> str:
    """The whole program of one way."""
    return HEAD + PROGRAMS[way] + TAIL


def run(words: list[Any]) -> list[str]:
    """Run Python with nothing but the standard library; return the words of its line RESULT."""
    done = subprocess.run(
        [sys.executable, *FLAGS, *words], check=True, capture_output=True, text=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    return next((line.split() for line in done.stdout.splitlines() if line.startswith("RESULT")), [])


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def report(rows: dict[str, dict[str, Any]]) -> None:
    """Print a table, and the figures as JSON."""
    print("| way | packages | files | model | start | later answer | RPCs | read | start in the lab |")
    print("|---|---|---|---|---|---|---|---|---|")
    for way, row in rows.items():
        lab = f"{row['rpcs']:,} | {row['read'] / 1e6:.0f} MB | {row['lab']:.1f} s" if "rpcs" in row else "- | - | -"
        print(
            f"| {way} | {row['packages'] / 1e6:,.0f} MB | {row['files']:,} | {row['model'] / 1e3:,.0f} kB "
            f"| {row['start']:.2f} s | {row['later'] * 1e3:.3f} ms | {lab} |"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
