"""Keras's own, by module and by name; everything else in a configuration needs trust."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import efsprov.models.formats.keras_config
from efsprov.models.formats.detect import inspect_model
from efsprov.models.formats.keras_config import code_in, known_names
from tests.models.conftest import write_zip
from tests.models.formats.test_packed import PICKLE, npy, zipped


def layer(name="Dense", module="keras.layers", **more):
    return {"module": module, "class_name": name, "config": {}, "registered_name": None, **more}


OWN = [
    layer(),
    layer(module="keras.src.layers.core.dense"),
    layer("Functional", "keras.src.models.functional"),
    layer("Functional", "keras.src.engine.functional"),
    layer("Sequential", "keras"),
    layer("DTypePolicy", "keras"),
    layer("GlorotUniform", "keras.initializers"),
    layer("Add", "keras.src.ops.numpy"),
    layer("Dense", "tensorflow.keras.layers"),
    layer("Dense", "tf_keras.src.layers.core.dense"),
    layer("BertBackbone", "keras_hub.src.models.bert.bert_backbone", registered_name="keras_hub>BertBackbone"),
    layer("SeedGenerator", "keras.src.random.seed_generator"),
    layer("function", "keras.activations", config="relu"),
    {"class_name": "Dense", "config": {"units": 3}},
    {"class_name": "__keras_tensor__", "config": {"shape": [None, 2]}},
    {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "TypeSpec", "type_spec": "tf.TensorSpec", "serialized": []},
    {"class_name": "Custom>Adam", "config": {"learning_rate": 0.001}},
    layer("StringLookup", config={"vocabulary": ["a", "b"]}),
]
FOREIGN = [
    layer("MyLayer", None, registered_name="other>MyLayer"),
    layer("MyLayer", None),
    {"class_name": "MyLayer", "config": {}},
    {"class_name": "Custom>MyLayer", "config": {}},
    {"class_name": "evil>Adam", "config": {}},
    layer(module="keras_evil"),
    layer(module="keras_evil.layers"),
    layer(module="kerasx.layers"),
    layer(module="keras.utils"),
    layer(module="keras.src.utils.layers"),
    layer(module="keras"),  # no name that is Keras's own: see below
    layer("get_file", "keras"),
    layer("Dense", "tensorflow"),
    layer("Dense", "os"),
    layer("Dense", 3),
    layer("Dense", ["keras.layers"]),
    layer(registered_name="evil>Dense"),
    layer("Dense", "", registered_name="Custom>Dense"),
    layer("evil>Dense", "keras.layers", registered_name="evil>Dense"),
    layer("function", "os", config="system"),
    layer("function", "builtins", config="exec"),
    layer("function", "keras.utils", config="get_file"),
    layer("function", "keras.saving", config="load_model"),
    layer("function", "keras.config", config="enable_unsafe_deserialization"),
    layer("function", "keras.layers", config="deserialize"),
    layer("function", None, config="my_function"),
    layer("function", "keras.activations", config=["relu"]),
    layer("Lambda"),
    layer("Package>Lambda"),
    layer("__lambda__", "builtins"),
    layer("TFSMLayer"),
    layer("TorchModuleWrapper"),
    layer("JaxLayer"),
    layer("FlaxLayer"),
    layer("StringLookup", config={"vocabulary": "/etc/passwd"}),
    layer("TextVectorization", config={"vocabulary": "http://example.com/x"}),
    layer("ViT", "keras_hub.src.utils.preset_utils"),
    layer(["Dense"]),
    layer({"a": 1}),
]
FOREIGN.remove(layer(module="keras"))


@pytest.mark.parametrize("part", OWN, ids=json.dumps)
def test_keras_own(part):
    assert list(code_in({"layers": [{"deep": part}]})) == []


@pytest.mark.parametrize("part", FOREIGN, ids=json.dumps)
def test_everything_else_needs_trust(part):
    assert list(code_in({"layers": [{"deep": part}]}))


@pytest.mark.parametrize("part", FOREIGN, ids=json.dumps)
def test_it_does_in_an_archive_wherever_in_its_configuration(tmp_path, part):
    config = layer("Sequential", "keras", compile_config={"optimizer": part})
    write_zip(tmp_path / "m.keras", {"config.json": json.dumps(config).encode(), "metadata.json": b"{}"})
    assert "keras-code" in {risk.kind for risk in inspect_model(tmp_path, ["m.keras"]).risks}


@pytest.mark.parametrize(
    ("member", "content", "kind"),
    [
        ("model.weights.npz", zipped({"a.npy": npy("'|O'", PICKLE)}), "pickle"),
        ("model.weights.h5", PICKLE, "pickle"),
        ("assets/vocabulary.txt", PICKLE, "pickle"),
        ("assets/layer.so", b"\x7fELF" + b"\0" * 80, "code"),
        ("extra.bin", b"\0\1\2\3", "unknown"),
    ],
)
def test_what_else_is_in_the_archive_is_judged(samples, tmp_path, member, content, kind):
    with zipfile.ZipFile(samples / "dense.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    write_zip(tmp_path / "m.keras", members | {member: content})
    risks = inspect_model(tmp_path, ["m.keras"]).risks
    assert kind in {risk.kind for risk in risks}
    assert any(member in risk.why for risk in risks)


def test_assets_that_are_texts_need_none(samples, tmp_path):
    with zipfile.ZipFile(samples / "dense.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    write_zip(tmp_path / "m.keras", members | {"assets/layers/lookup/vocabulary.txt": b"cat\ndog\n", "assets/": b""})
    assert inspect_model(tmp_path, ["m.keras"]).risks == ()


def test_a_config_that_is_nested_deep_is_no_crash():
    nested = "[" * 500 + "]" * 500
    assert list(code_in(json.loads(nested))) == []


def test_the_list_has_layers_and_none_of_what_carries_code_or_loads():
    assert {"Dense", "Adam", "relu", "GlorotUniform", "MeanSquaredError", "Functional"} <= known_names()
    outside = {
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "deserialize",
        "get",
        "load_model",
        "model_from_json",
        "get_file",
    }
    assert not outside & known_names()


@pytest.mark.framework
def test_the_list_holds_what_the_installed_keras_says(tensorflow_root):
    script = Path(__file__).parents[1] / "known_keras.py"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", script, tensorflow_root.site], check=True, capture_output=True, text=True
    )
    listed = Path(efsprov.models.formats.keras_config.__file__).with_name("known_keras.txt").read_text().splitlines()
    output = {line for line in run.stdout.splitlines() if not line.startswith("#")}
    assert "Dense" in output
    assert output <= set(listed)
