import subprocess
import sys
from pathlib import Path

import pytest

import efsprov.models.formats.savedmodel
from tests.models.known_ops import known


def test_operations_that_reach_outside_are_left_out():
    outside = [
        "PyFunc",
        "EagerPyFunc",
        "ReadFile",
        "WriteFile",
        "PrintV2",
        "TFRecordDataset",
        "RpcCall",
        "XlaCustomCall",
    ]
    inside = ["MatMul", "ReadVariableOp", "SaveV2", "RestoreV2", "MergeV2Checkpoints", "StatefulPartitionedCall"]
    assert known([*outside, *inside]) == sorted(inside)


@pytest.mark.framework
def test_list_is_what_tensorflow_says(tensorflow_root):
    script = Path(__file__).with_name("known_ops.py")
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", script, tensorflow_root.site], check=True, capture_output=True, text=True
    )
    listed = Path(efsprov.models.formats.savedmodel.__file__).with_name("known_ops.txt").read_text()
    assert run.stdout == listed
