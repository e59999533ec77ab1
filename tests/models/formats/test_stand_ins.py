"""Files that stand in for others are refused, and named as what they are."""

import pytest

from efsprov.core.errors import ModelError
from efsprov.models.formats.detect import inspect_model

NAMES = [
    "m.safetensors",
    "m.onnx",
    "m.h5",
    "m.keras",
    "m.tflite",
    "m.pt",
    "m.bin",
    "saved_model.pb",
    "m.pkl",
    "m.npy",
    "data",
]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 63 + "1\nsize 438007537\n"


def refusal(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ModelError) as caught:
        inspect_model(folder, [name])
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", [*NAMES, "config.json", "labels.txt"])
def test_pointers_of_git_lfs(tmp_path, name):
    error = refusal(tmp_path, name, POINTER)
    assert "is a Git LFS pointer" in error.message
    assert "438007537 bytes" in error.message
    assert "git lfs pull" in error.hint


def test_one_pointer_among_sound_files_is_enough(samples, tmp_path):
    (tmp_path / "matmul.onnx").write_bytes((samples / "matmul.onnx").read_bytes())
    (tmp_path / "tokenizer.json").write_text(POINTER)
    with pytest.raises(ModelError, match=r"tokenizer\.json is a Git LFS pointer"):
        inspect_model(tmp_path, ["matmul.onnx", "tokenizer.json"])


@pytest.mark.parametrize(
    "content", ["/annex/objects/SHA256E-s5--abc.bin\n", "../.git/annex/objects/x/y/SHA256E-s5--abc/abc"]
)
def test_pointers_of_git_annex(tmp_path, content):
    assert "git-annex pointer" in refusal(tmp_path, "m.bin", content).message


@pytest.mark.parametrize(
    "content",
    [
        "<!DOCTYPE html><html><body>Sign in</body></html>",
        "\n  <html lang='en'>",
        "\ufeff<!doctype HTML>",
        "<!-- x -->\n<HTML>",
        "<head><title>502 Bad Gateway</title>",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_pages(tmp_path, name, content):
    assert "is an HTML page, not what its name says" in refusal(tmp_path, name, content).message


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_an_object_store(tmp_path, name):
    content = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>'
    assert "the error message AccessDenied of an object store" in refusal(tmp_path, name, content).message


@pytest.mark.parametrize("name", [name for name in NAMES if "." in name])
def test_nothing_at_all(tmp_path, name):
    assert "it is empty, the file has 0 bytes" in refusal(tmp_path, name, b"").message


@pytest.mark.parametrize("name", ["m.safetensors", "m.onnx", "m.h5", "m.keras", "m.tflite", "m.pt"])
def test_another_text_is_shown(tmp_path, name):
    assert "Entry not found" in refusal(tmp_path, name, "Entry not found").message or name in {
        "m.safetensors",
        "m.onnx",
        "m.h5",
        "m.tflite",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("card.html", "<!doctype html>"),
        ("README.md", "<html>"),
        (".gitkeep", ""),
        ("notes.txt", ""),
        ("a.md", "See git-lfs."),
    ],
)
def test_what_may_be_so(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert inspect_model(tmp_path, [name]).risks == ()
