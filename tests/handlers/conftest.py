import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.lambda_sandbox import Bind, Function, Runtime
from devtools.lambda_sandbox.fixtures import bootstrap_layer, lambda_runtime
from tests.framework_root import FrameworkRoot, framework_roots, tensorflow_root, torch_root
from tests.handlers.aws import boto3_mount, fake_aws, requests_path
from tests.handlers.serving import _own_cache, deploy, onnx_root, safetensors_root, tflite_root

__all__ = [
    "_own_cache",
    "bootstrap_layer",
    "boto3_mount",
    "deploy",
    "fake_aws",
    "framework_roots",
    "lambda_runtime",
    "onnx_root",
    "requests_path",
    "safetensors_root",
    "tensorflow_root",
    "tflite_root",
    "torch_root",
]

HANDLERS = Path(__file__).parents[2] / "handlers"
Attached = Callable[..., Function]


@pytest.fixture(scope="session")
def attached(lambda_runtime: Runtime, bootstrap_layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Attached:
    """Deploys one file of ``handlers/`` as a function that has the shim's layer and a framework's root, read-only."""

    def make(name: str, source: FrameworkRoot, **settings: Any) -> Function:
        code = tmp_path_factory.mktemp(name)
        shutil.copy(HANDLERS / f"{name}.py", code)
        variables = {
            "EFSPROV_ROOT": "/mnt/efs",
            "EFSPROV_CHANNEL": source.channel,
            "EFSPROV_TARGET": source.target,
        }
        defaults: dict[str, Any] = {
            "runtime": lambda_runtime,
            "code": code,
            "handler": f"{name}.handler",
            "name": name,
            "variables": variables,
            "layers": [bootstrap_layer],
            "mounts": {"/mnt/efs": Bind(source.root, "/mnt/efs")},
            "timeout": 300,
            "memory_mb": 3008,
        }
        return Function(**(defaults | settings))

    return make
