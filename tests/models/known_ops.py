"""Writes efsprov/models/formats/known_ops.txt from a TensorFlow that lies in a folder.

usage: python -I -S tests/models/known_ops.py SITE > efsprov/models/formats/known_ops.txt
"""

import re
import sys

# Operations that run Python, reach files, other processes, devices or the network, or call what somebody registered.
OUTSIDE = re.compile(
    "^_|PyFunc|Print|Debug|Dump|Rpc|Remote|Send|Recv|Worker|Server|TPU|Tpu|Nccl|Collective|Custom|HostCompute"
    "|Dataset|Iterator|Reader|RecordInput|^Write|Summary(Writer|Db|File)|File(System|$)|MatchingFiles|ImmutableConst"
    "|^Save$|SaveSlices|DistributedSave|^Restore(Slice)?$|DTensor|LoadAndRemap|VocabRemapping|(En|De)codeProto"
)
# Every SavedModel has those that write and read its checkpoint; vocabularies are assets of the model.
ALLOWED = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "InitializeTableFromTextFileV2"}


def known(names):
    """Return those that only compute, sorted."""
    return sorted(name for name in names if name in ALLOWED or not OUTSIDE.search(name))


def main():
    """Print the file."""
    sys.path.insert(0, sys.argv[1])
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    print("# Operations of TensorFlow that only compute, or read and write the checkpoint that they are told to.")
    print(f"# From TensorFlow {tf.__version__} by tests/models/known_ops.py, which says what was left out.")
    print("\n".join(known(op.name for op in ops.op)))


if __name__ == "__main__":
    main()
