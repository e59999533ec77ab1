"""Data beside a model, known by its content: vocabularies, checkpoints, images."""

import shutil

import pytest

from efsprov.models.formats.detect import inspect_model
from tests.models.formats.test_graphs import message


def inspect(folder):
    return inspect_model(folder, sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()))


PIECES = b"".join(message(1, message(1, piece), b"\x15\0\0\0\0") for piece in ("<unk>", "<s>", "\u2581the"))


def test_a_vocabulary_of_sentencepiece_needs_none(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(PIECES + message(2, b"\x18\x02"))
    assert inspect(tmp_path).risks == ()


@pytest.mark.parametrize(
    "content", [PIECES[:-1], PIECES + message(9, "x"), message(1, message(2, "x")) * 3, b"\x0a\x00"]
)
def test_what_only_begins_so_is_not_understood(tmp_path, content):
    (tmp_path / "tokenizer.model").write_bytes(content)
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["unknown"]


def test_a_checkpoint_of_tensorflow_needs_none(samples, tmp_path):
    for kind in ("index", "data-00000-of-00001"):
        shutil.copy(samples / "dense_savedmodel" / "variables" / f"variables.{kind}", tmp_path / f"model.ckpt.{kind}")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    assert inspect(tmp_path).risks == ()


def test_numbers_without_their_index_are_not_understood(samples, tmp_path):
    shutil.copy(
        samples / "dense_savedmodel" / "variables" / "variables.data-00000-of-00001", tmp_path / "m.data-00000-of-00001"
    )
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["unknown"]
    (tmp_path / "m.index").write_bytes(b"no table")
    assert {risk.kind for risk in inspect(tmp_path).risks} == {"unknown"}


def test_the_data_of_an_onnx_model_is_known_by_the_model(samples, tmp_path):
    shutil.copytree(samples / "external", tmp_path / "m")
    assert inspect(tmp_path).risks == ()
    (tmp_path / "m" / "more.bin").write_bytes(b"\0\1\2\3")
    assert [(risk.kind, risk.path) for risk in inspect(tmp_path).risks] == [("unknown", "m/more.bin")]


def test_a_model_beside_which_something_needs_trust_is_that_model(samples, tmp_path):
    shutil.copy(samples / "matmul.onnx", tmp_path)
    (tmp_path / "run.py").write_text("print(1)\n")
    found = inspect(tmp_path)
    assert (found.format, found.entry) == ("onnx", "matmul.onnx")
    assert [risk.kind for risk in found.risks] == ["code"]


def test_a_folder_as_people_have_it_needs_none(samples, tmp_path):
    shutil.copy(samples / "matmul.onnx", tmp_path / "model.onnx")
    for name, text in {
        "config.json": '{"architectures": ["BertModel"], "torch_dtype": "float32"}',
        "tokenizer.json": '{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}}}',
        "merges.txt": "#version: 0.2\nt h\n",
        "README.md": "# A model\n",
        ".gitattributes": "*.onnx filter=lfs diff=lfs merge=lfs -text\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "spiece.model").write_bytes(PIECES)
    (tmp_path / "sample.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    found = inspect(tmp_path)
    assert (found.format, found.entry, found.risks) == ("onnx", "model.onnx", ())
