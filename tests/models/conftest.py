import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.framework_root import framework_roots, tensorflow_root, torch_root
from tests.handlers.serving import onnx_root, safetensors_root, tf2onnx_root

__all__ = ["framework_roots", "onnx_root", "safetensors_root", "tensorflow_root", "tf2onnx_root", "torch_root"]

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def samples() -> Path:
    """Small models that the frameworks made; see make_samples.py."""
    return SAMPLES


def write_safetensors(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> Path:
    """Write tensors {name: (dtype, shape, bytes)} as a safetensors file."""
    header, at = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(data for _, _, data in tensors.values()))
    return path


@pytest.fixture
def make_safetensors(tmp_path: Path) -> Callable[..., Path]:
    """Makes a safetensors file of one tensor of floats."""

    def make(name: str = "model.safetensors", floats: int = 4, fill: float = 1.0) -> Path:
        data = struct.pack(f"<{floats}f", *[fill] * floats)
        return write_safetensors(tmp_path / name, {"weights": ("F32", [floats], data)})

    return make


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """Write a zip archive with any names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
