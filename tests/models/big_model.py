"""Writes a model of random weights in shards of safetensors, with the index that names them.

usage: python big_model.py FOLDER SHARDS BYTES_A_SHARD
"""

import json
import os
import struct
import sys
from pathlib import Path


def write_shards(folder: Path, shards: int, size: int) -> None:
    """Write ``shards`` files of ``size`` bytes of weights each; ``size`` is a multiple of a megabyte."""
    folder.mkdir()
    weights = {}
    for number in range(shards):
        name, file = f"layer{number}.weight", f"model-{number:05}.safetensors"
        header = json.dumps({name: {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
        with (folder / file).open("wb") as opened:
            opened.write(struct.pack("<Q", len(header)) + header)
            for _ in range(size >> 20):
                opened.write(os.urandom(1 << 20))
        weights[name] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


if __name__ == "__main__":
    write_shards(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
