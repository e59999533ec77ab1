"""Optimisation with the frameworks themselves, on a network that is trained here."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from efsprov.cli.main import main
from efsprov.core.errors import BuildError, ModelError, UsageError
from efsprov.core.events import SILENT
from efsprov.models.formats.inspection import RISKS
from efsprov.models.optimize import Optimization, optimize
from efsprov.models.provision import Provision, provision
from efsprov.models.release_tools import ReleaseTools
from efsprov.models.source import LocalSource
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.journal import append_when, read_state
from efsprov.store.layout import Root
from efsprov.store.verify import check_channel, check_release
from tests.framework_root import FrameworkRoot
from tests.models.conftest import SAMPLES

pytestmark = pytest.mark.framework
TRAIN = Path(__file__).with_name("train_cnn.py")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def cnn(tensorflow_root, tmp_path_factory) -> Path:
    """The network that train_cnn.py trains, and its pictures."""
    folder = tmp_path_factory.mktemp("cnn")
    command = [sys.executable, "-I", "-S", "-B", TRAIN, tensorflow_root.site, folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def push(root):
    def push(name, source):
        channel = Root.open(root, writing=True).channel(name, kind="model")
        wanted = Provision(trusted=frozenset(RISKS), meta={"accuracy": "0.95"})
        return channel, provision(channel, LocalSource(source), wanted, ProgressReporter(SILENT)).release

    return push


def tools(*roots: FrameworkRoot, timeout: float = 600) -> ReleaseTools:
    opened = [(Root.open(r.root).channel(r.channel, r.target), r.release) for r in roots]
    return ReleaseTools.of(opened, timeout=timeout)


def run(model, release, used, **wanted):
    return optimize(model, release, Optimization(**wanted), used, ProgressReporter(SILENT), into=model)


def as_channel(root: Path, source: FrameworkRoot) -> None:
    """Give a root the release of another one, journal and all."""
    channel = Root.open(root, writing=True).channel(source.channel, source.target)
    for folder in (channel.journal, channel.staging, channel.trash):
        folder.mkdir(parents=True)
    shutil.copytree(source.site.parents[1], channel.releases, copy_function=os.link, symlinks=True)
    for do in ("publish", "activate"):
        append_when(channel, do, source.release, lambda entries: True)


def test_int8_is_small_and_agrees(push, root, cnn, tensorflow_root, capsys):
    """From the command line to the manifest: a SavedModel quantised with the channel's own TensorFlow."""
    model, release = push("net", cnn / "savedmodel")
    as_channel(root, tensorflow_root)
    words = ["--root", root, "--to", "tflite", "--quantize", "int8", "--representative", cnn / "representative.npy"]
    words += ["--evaluate", cnn / "test.npy", "--require-agreement", "0.95", "--json"]
    with pytest.raises(SystemExit) as left:
        main(["model", "optimize", "net", *map(str, words)])
    printed = json.loads(capsys.readouterr().out)
    assert left.value.code == 0, printed
    manifest = printed["manifest"]
    report = manifest["model"]["lineage"]["report"]
    print(json.dumps(report))
    assert report["comparison"]["top1_agreement"] >= 0.95
    assert report["comparison"]["samples"] == 500
    assert report["comparison"]["data"] == "evaluation"
    assert report["before"]["bytes"] / report["after"]["bytes"] >= 3
    assert 0 < report["comparison"]["mean_error"] < report["comparison"]["max_error"] < 0.5
    assert min(report[which][what] for which in ("before", "after") for what in ("latency_ms", "load_ms")) > 0
    files = Path(printed["path"])
    assert [f.name for f in files.iterdir()] == ["model.tflite"]
    assert files.joinpath("model.tflite").stat().st_size == report["after"]["bytes"]
    lineage = manifest["model"]["lineage"]
    assert (lineage["model"], lineage["release"], lineage["steps"]) == ("net", release, ["tflite int8"])
    assert lineage["channels"] == {"tensorflow": tensorflow_root.release}
    assert lineage["versions"]["tensorflow"] == "2.15.0"
    assert manifest["meta"] == {"accuracy": "0.95"}
    assert read_state(model).current == release  # a handler of SavedModels goes on as before
    assert check_release(model, printed["release"], full=True) == ()
    assert check_channel(model) == ()


def test_pruned_weights_and_an_agreement_that_is_required(push, cnn, tensorflow_root):
    model, release = push("net", cnn / "net.keras")
    used = tools(tensorflow_root)
    with pytest.raises(ModelError, match=r"the same answer for \d+\.\d% of the samples, 95\.0% is required"):
        run(model, release, used, prune=0.95, evaluate=cnn / "test.npy", require_agreement=0.95)
    assert len(read_state(model).live) == 1
    done = run(model, release, used, prune=0.3, evaluate=cnn / "test.npy", activate=True)
    report = done.manifest.model.lineage.report
    assert report.sparsity == pytest.approx(0.3, abs=0.01)
    assert report.after.gzip_bytes < report.before.gzip_bytes
    assert report.comparison.top1_agreement > 0.5
    assert read_state(model).current == done.release


def test_onnx_from_tensorflow_quantised_statically(push, cnn, tensorflow_root, tf2onnx_root, onnx_root):
    model, release = push("net", cnn / "savedmodel")
    used = tools(tensorflow_root, tf2onnx_root, onnx_root)
    done = run(model, release, used, to="onnx", quantize="static", representative=cnn / "representative.npy")
    facts = done.manifest.model
    assert (facts.format, facts.lineage.steps) == ("onnx", ("onnx", "onnx static"))
    assert facts.lineage.report.comparison.top1_agreement >= 0.95
    assert facts.lineage.report.smaller >= 2.5
    assert {"tensorflow", "tf2onnx", "onnxruntime"} <= facts.lineage.versions.keys()


def test_onnx_from_pytorch_with_what_belongs_to_the_model(push, torch_root, onnx_root, tmp_path):
    (tmp_path / "model").mkdir()
    shutil.copy(SAMPLES / "linear_script.pt", tmp_path / "model")
    (tmp_path / "model" / "labels.txt").write_text("a\nb\nc\n")
    model, release = push("net", tmp_path / "model")
    used = tools(torch_root, onnx_root)
    with pytest.raises(ModelError, match="TorchScript does not say what goes in"):
        run(model, release, used, to="onnx")
    done = run(model, release, used, to="onnx", input_shape=(1, 2))
    files = done.path / "files"
    assert sorted(f.name for f in files.iterdir()) == ["labels.txt", "model.onnx"]
    report = done.manifest.model.lineage.report
    assert report.comparison.data == "random"
    assert report.comparison.max_error < 1e-5


# What is wrong with the data or the release is found by the same code for every framework: onnxruntime starts quickly.


@pytest.fixture
def matmul(push):
    return push("matmul", SAMPLES / "external")


def npy(path: Path, shape: tuple[int, ...], values: bytes, kind: str = "<f4") -> Path:
    """Write an array as NumPy does (numpy.lib.format, version 1.0)."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)
    return path


def test_dynamic_onnx_needs_no_data(matmul, onnx_root):
    model, release = matmul
    done = run(model, release, tools(onnx_root), quantize="dynamic")
    assert sorted(f.name for f in (done.path / "files").iterdir()) == ["model.onnx"]
    assert done.manifest.model.lineage.report.comparison.samples == 32


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda p: npy(p, (4, 3), struct.pack("<12f", *range(12))), "are of shape [3], the model takes [2]"),
        (lambda p: npy(p, (0, 2), b""), "at least one"),
        (lambda p: npy(p, (4, 2), b"short"), "cannot be read"),
        (lambda p: p.write_bytes(pickle.dumps([1, 2])), "cannot be read"),
        (lambda p: npy(p, (1,), pickle.dumps([1, 2]), "|O"), "cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_data_that_does_not_fit(matmul, onnx_root, tmp_path, make, part):
    model, release = matmul
    make(tmp_path / "data.npy")
    with pytest.raises(ModelError) as caught:
        run(model, release, tools(onnx_root), quantize="static", representative=tmp_path / "data.npy")
    assert part in caught.value.message
    assert len(read_state(model).live) == 1


@pytest.mark.parametrize("name", ["nowhere.npy", "data.csv"])
def test_data_that_is_none(matmul, onnx_root, tmp_path, name):
    model, release = matmul
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(UsageError, match=name):
        run(model, release, tools(onnx_root), quantize="static", representative=tmp_path / name)


def test_release_that_lacks_the_tool(matmul, safetensors_root):
    model, release = matmul
    with pytest.raises(ModelError, match="the release has no onnxruntime") as caught:
        run(model, release, tools(safetensors_root), quantize="dynamic")
    assert f"safetensors {safetensors_root.release}" in caught.value.hint


def test_step_that_takes_too_long(matmul, onnx_root):
    model, release = matmul
    with pytest.raises(BuildError, match=r"was not done after 0\.01 seconds"):
        run(model, release, tools(onnx_root, timeout=0.01), quantize="dynamic")


def test_channels_of_several_pythons_do_not_go_together(tmp_path):
    root = Root.open(tmp_path / "root", writing=True)
    chosen = [(root.channel("a", f"python3.{minor}-x86_64"), "20261121T063000Z-3f2a9c1b") for minor in (11, 12)]
    with pytest.raises(UsageError, match="several Python versions"):
        ReleaseTools.of(chosen, timeout=1)
