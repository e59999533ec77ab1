"""Fixtures for the handlers that serve models: functions with a root of their own and the frameworks of a shared one."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from devtools.lambda_sandbox import Bind, Function, Runtime
from efsprov.core.events import SILENT
from efsprov.models.formats.inspection import RISKS
from efsprov.models.provision import Provision, provision
from efsprov.models.source import LocalSource
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.layout import Root
from tests.framework_root import FrameworkRoot, FrameworkRoots, plain_target

HANDLERS = Path(__file__).parents[2] / "handlers"
SAMPLES = Path(__file__).parents[1] / "models" / "samples"
Deploy = Callable[..., Function]


def push(root: Path, name: str, source: Path) -> str:
    """Publish a model on a root and return the id of its release."""
    channel = Root.open(root, writing=True).channel(name, kind="model")
    done = provision(channel, LocalSource(source), Provision(trusted=frozenset(RISKS)), ProgressReporter(SILENT))
    return done.release


def http(body: Any, **event: Any) -> dict[str, Any]:
    """An event as API Gateway's HTTP API sends it; a body that is not text is sent as JSON."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return {
        "version": "2.0",
        "rawPath": "/predict",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "requestId": "r"},
        "body": text,
        "isBase64Encoded": False,
    } | event


def read(answer: Mapping[str, Any]) -> tuple[int, Any]:
    """The status and the decoded body of an answer."""
    assert answer["headers"]["content-type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture(scope="session")
def deploy(lambda_runtime: Runtime, bootstrap_layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys files of ``handlers/`` (the first holds the handler) with a root's models and frameworks of other roots."""

    def make(
        files: Sequence[str],
        root: Path,
        frameworks: Sequence[FrameworkRoot],
        *,
        code: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        mounts: Mapping[str, Bind] | None = None,
        **settings: Any,
    ) -> Function:
        folder = tmp_path_factory.mktemp(files[0])
        for name in files:
            shutil.copy(HANDLERS / f"{name}.py", folder)
        for name, content in (code or {}).items():
            (folder / name).write_text(content)
        bound = {"/mnt/efs": Bind(root, "/mnt/efs")}
        for each in frameworks:
            (root / "deps" / each.channel).mkdir(parents=True, exist_ok=True)
            place = f"/mnt/efs/deps/{each.channel}"
            bound[place] = Bind(each.root / "deps" / each.channel, place)
        settings = {"timeout": 120, "memory_mb": 3008, "init_timeout": 120} | settings
        target = {"EFSPROV_TARGET": frameworks[0].target} if frameworks else {}
        return Function(
            runtime=lambda_runtime,
            code=folder,
            handler=f"{files[0]}.handler",
            name=files[0],
            variables={
                "EFSPROV_ROOT": "/mnt/efs",
                "EFSPROV_CHANNEL": ",".join(each.channel for each in frameworks),
                **target,
                **(variables or {}),
            },
            layers=[bootstrap_layer],
            mounts={**bound, **(mounts or {})},
            **settings,
        )

    return make


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Provisioning works in a cache of the test run's own."""
    before = os.environ.get("EFSPROV_CACHE")
    os.environ["EFSPROV_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["EFSPROV_CACHE"]
    else:
        os.environ["EFSPROV_CACHE"] = before


@pytest.fixture(scope="session")
def onnx_root(framework_roots: FrameworkRoots) -> FrameworkRoot:
    """onnxruntime, and onnx to quantise with."""
    return framework_roots.get("onnxruntime", plain_target(), ["onnxruntime==1.23.2", "onnx==1.19.1"])


@pytest.fixture(scope="session")
def tflite_root(framework_roots: FrameworkRoots) -> FrameworkRoot:
    """The TFLite interpreter alone, in the newest version that Lambda's python3.11 can load, and Pillow."""
    return framework_roots.get("tflite", plain_target(), ["ai-edge-litert==1.4.0", "pillow"])


@pytest.fixture(scope="session")
def safetensors_root(framework_roots: FrameworkRoots, torch_root: FrameworkRoot) -> FrameworkRoot:
    """The package that reads safetensors, beside PyTorch."""
    return framework_roots.get("safetensors", torch_root.target, ["safetensors==0.8.0"])


@pytest.fixture(scope="session")
def tf2onnx_root(framework_roots: FrameworkRoots, tensorflow_root: FrameworkRoot) -> FrameworkRoot:
    """tf2onnx, beside TensorFlow: with what that has not got, and nothing that it has in another version."""
    return framework_roots.get("tf2onnx", tensorflow_root.target, ["tf2onnx==1.17.0", "onnx==1.17.0"], ["--no-deps"])
