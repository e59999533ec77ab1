"""Writes a model of random weights in shards of safetensors, with the index that names them.

usage: python big_model.py FOLDER BYTES_OF_A_SHARD...
"""

import json
import os
import struct
import sys
from pathlib import Path


def write_shards(folder: Path, sizes: list[int]) -> None:
    """Write a file of so many bytes of weights for each of ``sizes``, which are multiples of a megabyte."""
    folder.mkdir()
    weights = {}
    for number, size in enumerate(sizes):
        name, file = f"layer{number}.weight", f"model-{number:05}.safetensors"
        header = json.dumps({name: {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
        with (folder / file).open("wb") as opened:
            opened.write(struct.pack("<Q", len(header)) + header)
            for _ in range(size >> 20):
                opened.write(os.urandom(1 << 20))
        weights[name] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


if __name__ == "__main__":
    write_shards(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])
