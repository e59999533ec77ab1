"""Content under any name and packing: pickles are found, data is let through, what is not understood needs trust."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import random
import struct
import tarfile
import zipfile
import zlib

import pytest

from efsprov.core.errors import ModelError
from efsprov.models.formats.detect import inspect_model
from efsprov.models.formats.packed import content_risks


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def tar(members, mode="w", form=tarfile.PAX_FORMAT):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=form) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def zipped(members, before=b""):
    target = io.BytesIO(before)
    target.seek(len(before))
    with zipfile.ZipFile(target, "a" if before else "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def npy(descr="'<f4'", data=b"", version=1, shape="(1,)"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    width = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, len(header)) + header + data


NOISE = random.Random(1).randbytes(3 << 20)
PICKLE = pickle.dumps(Runs())
OLD_PICKLE = pickle.dumps(Runs(), 0)
PICKLES = {
    "protocol 0": OLD_PICKLE,
    "protocol 1": pickle.dumps(Runs(), 1),
    "protocol 5": pickle.dumps(Runs(), 5),
    "gzip": gzip.compress(PICKLE),
    "bz2": bz2.compress(PICKLE),
    "xz": lzma.compress(PICKLE),
    "lzma": lzma.compress(PICKLE, format=lzma.FORMAT_ALONE),
    "zlib, as joblib": zlib.compress(PICKLE),
    "zlib 0": zlib.compress(PICKLE, 0),
    "zlib 9": zlib.compress(PICKLE, 9),
    "gzip of protocol 0": gzip.compress(OLD_PICKLE),
    "tar": tar({"a/b.bin": PICKLE}),
    "old tar": tar({"weights": PICKLE}, form=tarfile.USTAR_FORMAT),
    "tar.gz": tar({"weights": PICKLE}, "w:gz"),
    "tar.xz": tar({"weights": PICKLE}, "w:xz"),
    "zip": zipped({"weights": PICKLE}),
    "zip with something before it": zipped({"weights": PICKLE}, b"\x01\x02\x03\x04"),
    "gzip in zip in tar": tar({"x": zipped({"y": gzip.compress(PICKLE)})}),
    "objects": npy("'|O'", PICKLE),
    "objects, version 2": npy("'O'", PICKLE, version=2),
    "objects, version 3": npy("'|O8'", PICKLE, version=3),
    "objects in a structure": npy("[('a', '<f4'), ('b', '|O')]", PICKLE),
    "objects in a structure in a structure": npy("[('a', [('b', 'O')])]", PICKLE),
    "objects in a shape": npy("('O', (2,))", PICKLE),
    "npz": zipped({"a.npy": npy(data=b"1234"), "b.npy": npy("'|O'", PICKLE)}),
    "npz in gzip": gzip.compress(zipped({"b.npy": npy("'|O'", PICKLE)})),
}


def repr_short(value):
    """Name a case by its first bytes: the rest may hold the time."""
    return repr(value[:4]) if isinstance(value, bytes) else None


def inspect(folder):
    return inspect_model(folder, sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()))


@pytest.mark.parametrize(
    "name", ["model.bin", "weights.dat", "a", "labels.txt", "x.npy", "m.npz", "tokenizer.model", "a.json"]
)
@pytest.mark.parametrize("content", PICKLES)
def test_pickles_under_any_name_and_packing_need_trust(tmp_path, name, content):
    (tmp_path / name).write_bytes(PICKLES[content])
    assert "pickle" in {risk.kind for risk in inspect(tmp_path).risks}


@pytest.mark.parametrize(
    "content",
    [b"\x28\xb5\x2f\xfd" + NOISE[:80], b"\x04\x22\x4d\x18" + NOISE[:80], b"ZF0x1f" + NOISE[:80]],
    ids=repr_short,
)
def test_what_is_packed_in_a_way_that_is_not_read_needs_trust(tmp_path, content):
    (tmp_path / "model.bin").write_bytes(content)
    (risk,) = inspect(tmp_path).risks
    assert (risk.kind, risk.path) == ("unknown", "model.bin")


@pytest.mark.parametrize(
    "content", [b"\x7fELF\x02" + b"\0" * 60, b"MZ\x90" + b"\0" * 60, b"\0asm\x01\0\0\0"], ids=repr_short
)
def test_native_code_needs_trust(tmp_path, content):
    (tmp_path / "ops.bin").write_bytes(content)
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["code"]


@pytest.mark.parametrize(
    "content",
    [b"\x00\x01\x02\x03" * 20, b"\xff\xfe\x00\x01", b"abc\0def", b"\x81\xa1a\x01", "latin-1: \xe9".encode("latin-1")],
    ids=repr_short,
)
def test_what_is_not_understood_needs_trust(tmp_path, content):
    (tmp_path / "model.bin").write_bytes(content)
    (risk,) = inspect(tmp_path).risks
    assert risk.kind == "unknown"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", b"cat\ndog\nRabbit\n"),
        ("labels.txt.gz", gzip.compress(b"cat\ndog\n")),
        ("vocab.json", b'{"a": 1, "b": [2, {"c": null}]}'),
        ("lines.jsonl", b'{"a": 1}\n{"a": 2}\n'),
        ("a.npy", npy(data=b"1234")),
        ("a.npy", npy("[('a', '<f4'), ('b', '<U3', (2,))]", b"1234")),
        ("a.npy", npy("'<M8[ns]'", b"12345678")),
        ("a.npz", zipped({"a.npy": npy(data=b"1234"), "b.npy": npy("'|b1'", b"1")})),
        ("sample.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40),
        ("sample.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 40),
        ("model.gguf", b"GGUF\x03\0\0\0" + b"\0" * 40),
        ("assets.zip", zipped({"a.txt": b"hello", "deep/b.json": b"{}", "folder/": b""})),
        ("empty", b""),
        ("README.md", "Größe: 3 µm\n".encode()),
    ],
    ids=repr_short,
)
def test_data_needs_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert inspect(tmp_path).risks == ()


def test_a_large_array_is_judged_by_its_header(tmp_path):
    with (
        (tmp_path / "a.npz").open("wb") as file,
        zipfile.ZipFile(file, "w") as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(npy(shape="(160000000,)"))
        for _ in range(400):
            member.write(b"\0" * (1 << 20))
    assert inspect(tmp_path).risks == ()


def test_a_bomb_is_not_unpacked(tmp_path):
    (tmp_path / "vocab.txt.gz").write_bytes(gzip.compress(b"a" * (300 << 20)))
    (risk,) = inspect(tmp_path).risks
    assert (risk.kind, "more than efsprov looks through" in risk.why) == ("unknown", True)


def test_what_is_packed_too_often_needs_trust(tmp_path):
    content = PICKLE
    for _ in range(12):
        content = gzip.compress(content)
    (tmp_path / "a").write_bytes(content)
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["unknown"]


@pytest.mark.parametrize("content", [gzip.compress(PICKLE * 50)[:-9], zlib.compress(NOISE[:400])[:-20]], ids=repr_short)
def test_a_stream_that_is_cut_off_needs_trust(content):
    assert {kind for kind, _ in content_risks(io.BytesIO(content), "a")} & {"unknown", "pickle"}


def test_a_pickle_before_the_cut_counts():
    content = gzip.compress(PICKLE + NOISE)[: 2 << 20]
    assert {kind for kind, _ in content_risks(io.BytesIO(content), "a")} == {"unknown", "pickle"}


@pytest.mark.parametrize("name", ["modeling.py", "setup.PY", "train.ipynb"])
def test_source_code_needs_trust(tmp_path, name):
    (tmp_path / name).write_text("print(1)\n")
    assert [risk.kind for risk in inspect(tmp_path).risks] == ["code"]


@pytest.mark.parametrize("name", ["a.safetensors", "a.onnx", "a.tflite", "a.json", "saved_model.pb"])
def test_a_pickle_under_the_name_of_another_format_is_refused_or_needs_trust(tmp_path, name):
    (tmp_path / name).write_bytes(OLD_PICKLE)
    try:
        found = inspect(tmp_path)
    except ModelError:
        return
    assert "pickle" in {risk.kind for risk in found.risks}
