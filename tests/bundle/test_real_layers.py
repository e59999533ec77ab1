"""Real packages as layers, in a function that has nothing else: they are imported and do their work."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from devtools.lambda_sandbox import Function, LambdaEnvironment
from devtools.lambda_sandbox.fixtures import lambda_runtime

__all__ = ["lambda_runtime"]
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SAMPLE = Path(__file__).parents[1] / "models/samples/matmul.onnx"
HANDLERS = {
    "onnxruntime": (
        ("onnxruntime",),
        (
            "import onnxruntime\ndef handler(event, context):\n"
            "    return [i.name for i in onnxruntime.InferenceSession('/var/task/net.onnx').get_inputs()] != []\n"
        ),
    ),
    "ai-edge-litert": (
        ("ai-edge-litert",),
        "from ai_edge_litert.interpreter import Interpreter\ndef handler(event, context):\n    return callable(Interpreter)\n",
    ),
    "scikit-learn": (
        ("scikit-learn",),
        (
            "from sklearn.linear_model import LinearRegression\ndef handler(event, context):\n"
            "    return round(float(LinearRegression().fit([[0], [1]], [0, 2]).predict([[3]])[0]), 6) == 6.0\n"
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HANDLERS)
def test_a_real_package_works_from_a_layer(name, lambda_runtime, tmp_path):
    requirements, code = HANDLERS[name]
    root, efsprov = tmp_path / "root", Path(sys.executable).with_name("efsprov")

    def run(*words):
        subprocess.run([str(word) for word in (efsprov, *words)], check=True, cwd=tmp_path)

    run(
        "sync",
        *requirements,
        "--root",
        root,
        "--runtime",
        RUNTIME,
        "--channel",
        "real",
        "--slim",
        "headers",
        "--slim",
        "debug",
    )
    run("layer", "deps", "--root", root, "--split", "2", *(["--no-bytecode"] if name == "scikit-learn" else []))
    layers = []
    for archive in sorted(tmp_path.glob("*-layer.zip")):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(tmp_path / archive.stem)
        layers.append(tmp_path / archive.stem)
    assert len(layers) == 2
    (tmp_path / "code").mkdir()
    (tmp_path / "code/h.py").write_text(code)
    (tmp_path / "code/net.onnx").write_bytes(SAMPLE.read_bytes())
    function = Function(
        runtime=lambda_runtime,
        code=tmp_path / "code",
        handler="h.handler",
        layers=layers,
        timeout=60,
        init_timeout=60,
        memory_mb=3008,
    )
    with LambdaEnvironment(function) as environment:
        done = environment.invoke({})
    assert done.payload is True, done.logs
