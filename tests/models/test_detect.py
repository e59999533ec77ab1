import json
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efsprov.core.errors import ModelError
from efsprov.models.formats.detect import inspect_model
from tests.models.conftest import SAMPLES, write_safetensors, write_zip


def inspect(path: Path):
    if path.is_dir():
        return inspect_model(path, sorted(str(f.relative_to(path)) for f in path.rglob("*") if f.is_file()))
    return inspect_model(path.parent, [path.name])


@pytest.mark.parametrize(
    ("name", "form", "risks"),
    [
        ("dense_savedmodel", "savedmodel", []),
        ("writes_savedmodel", "savedmodel", ["savedmodel-ops"]),
        ("dense.keras", "keras", []),
        ("lambda.keras", "keras", ["keras-code"]),
        ("dense.h5", "h5", ["h5"]),
        ("dense.tflite", "tflite", []),
        ("matmul.onnx", "onnx", []),
        ("external", "onnx", []),
        ("linear_script.pt", "torchscript", ["torchscript"]),
        ("linear_state.pt", "torch-state", []),
        ("checkpoint.pth", "torch-state", []),
        ("linear_module.pt", "torch-pickle", ["pickle"]),
        ("linear_legacy.pt", "torch-pickle", ["pickle"]),
    ],
)
def test_what_frameworks_write_is_known(samples, name, form, risks):
    found = inspect(samples / name)
    assert found.format == form
    assert [risk.kind for risk in found.risks] == risks


def test_operation_that_does_more_than_compute_is_named(samples):
    (risk,) = inspect(samples / "writes_savedmodel").risks
    assert "WriteFile" in risk.why


def test_global_of_a_pickle_is_named(samples):
    (risk,) = inspect(samples / "linear_module.pt").risks
    assert "torch.nn.modules.linear.Linear" in risk.why


def test_content_counts_more_than_the_name(samples, tmp_path):
    shutil.copy(samples / "linear_module.pt", tmp_path / "pytorch_model.bin")
    assert inspect(tmp_path / "pytorch_model.bin").format == "torch-pickle"
    shutil.copy(samples / "dense.tflite", tmp_path / "model.bin")
    assert inspect(tmp_path / "model.bin").format == "tflite"


def test_savedmodel_in_a_folder_of_the_model_is_its_entry(samples, tmp_path):
    shutil.copytree(samples / "dense_savedmodel", tmp_path / "export" / "1")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    found = inspect(tmp_path)
    assert (found.format, found.entry) == ("savedmodel", "export/1")


def test_shards_of_safetensors_are_one_model(tmp_path):
    for number in (1, 2):
        write_safetensors(tmp_path / f"model-{number}.safetensors", {f"t{number}": ("U8", [2], b"ab")})
    index = {"weight_map": {"t1": "model-1.safetensors", "t2": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert inspect(tmp_path).format == "safetensors"
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"names what is not beside it: model-2\.safetensors"):
        inspect(tmp_path)


def test_several_formats_are_a_plain_directory_with_all_their_risks(samples, tmp_path):
    for name in ("dense.h5", "matmul.onnx", "linear_module.pt"):
        shutil.copy(samples / name, tmp_path)
    found = inspect(tmp_path)
    assert found.format == "directory"
    assert {risk.kind for risk in found.risks} == {"h5", "pickle"}


def test_a_pickle_hides_behind_no_other_name(tmp_path):
    (tmp_path / "weights.dat").write_bytes(pickle.dumps({"a": print}))
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["pickle"]


def test_objects_that_are_not_keras_own_need_trust(samples, tmp_path):
    with zipfile.ZipFile(samples / "dense.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1]["module"] = "evil.package"
    members["config.json"] = json.dumps(config).encode()
    found = inspect(write_zip(tmp_path / "model.keras", members))
    assert [risk.kind for risk in found.risks] == ["keras-code"]
    assert "evil.package.Dense" in found.risks[0].why


@pytest.mark.parametrize("name", ["dense.tflite", "matmul.onnx", "dense.keras", "dense.h5", "linear_state.pt"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.95])
def test_truncated_file_is_refused(samples, tmp_path, name, keep):
    whole = (samples / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError, match="is not a sound"):
        inspect(tmp_path / name)


def test_truncated_savedmodel_is_refused(samples, tmp_path):
    shutil.copytree(samples / "dense_savedmodel", tmp_path / "m")
    graph = tmp_path / "m" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"not a sound SavedModel: it ends \d+ bytes early"):
        inspect(tmp_path / "m")


def test_savedmodel_without_its_variables_is_refused(samples, tmp_path):
    shutil.copytree(samples / "dense_savedmodel", tmp_path / "m")
    (tmp_path / "m" / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match=r"lacks variables\.data-00000-of-00001"):
        inspect(tmp_path / "m")


def test_onnx_whose_external_data_is_missing_is_refused(samples, tmp_path):
    shutil.copy(samples / "external" / "matmul.onnx", tmp_path)
    with pytest.raises(ModelError, match=r"its external data is missing: 'weights.bin' \(tensor 'weights'\)"):
        inspect(tmp_path / "matmul.onnx")


def test_onnx_whose_external_data_is_cut_off_is_refused(samples, tmp_path):
    shutil.copytree(samples / "external", tmp_path / "m")
    (tmp_path / "m" / "weights.bin").write_bytes(b"short")
    with pytest.raises(ModelError, match="past its end"):
        inspect(tmp_path / "m")


def test_onnx_whose_external_data_lies_elsewhere_is_refused(samples, tmp_path):
    content = (samples / "external" / "matmul.onnx").read_bytes()
    assert content.count(b"weights.bin") == 1
    (tmp_path / "matmul.onnx").write_bytes(content.replace(b"weights.bin", b"../../x.bin"))
    with pytest.raises(ModelError, match=r"outside of the model's folder"):
        inspect(tmp_path / "matmul.onnx")


def header(text: str | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    encoded = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(encoded) if length is None else length) + encoded + data


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file has 0"),
        (b"\x01\x02", "the file has 2"),
        (header("{}", length=1 << 40), "its header is to be 1099511627776 bytes long"),
        (header("{nonsense"), "its header is not JSON"),
        (header("[1]"), "its header is not a JSON object"),
        (header(b"\xff\xfe{}"), "its header is not JSON"),
        (header('{"a": {"shape": [1]}}'), "tensor 'a' has no dtype"),
        (header('{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}', b"1234"), "that cannot be"),
        (header('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', b"1234"), "that cannot be"),
        (header('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', b"1234"), "cannot be 4 bytes"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', b"12345678"), "leave a gap"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', b"12"), "the file holds 2"),
        (header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', b"12345"), "the file holds 5"),
    ],
)
def test_safetensors_with_a_bad_header_is_refused(tmp_path, content, why):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a sound safetensors file") as caught:
        inspect(tmp_path / "m.safetensors")
    assert why in caught.value.message


@pytest.mark.parametrize("member", ["../evil.pkl", "/etc/evil", "a/../../b", "a\\..\\b", "C:/x"])
def test_zip_that_leads_outside_is_refused(tmp_path, member):
    path = write_zip(tmp_path / "model.keras", {"config.json": b"{}", "metadata.json": b"{}", member: b"x"})
    with pytest.raises(ModelError, match="leads out of the folder"):
        inspect(path)


@pytest.mark.parametrize("name", ["dense.tflite", "matmul.onnx", "linear_state.pt", "dense.keras", "dense.h5"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_reported_and_never_a_crash(tmp_path_factory, name, data):
    content = bytearray((SAMPLES / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        inspect(path)
    except ModelError as error:
        assert error.hint  # noqa: PT017 (a damaged byte may leave a sound file: no error is right as well)
