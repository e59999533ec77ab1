"""Makes the small models in tests/models/samples with the frameworks themselves; the tests only read them.

usage: python -I -S tests/models/make_samples.py SITE tensorflow|torch|onnx tests/models/samples
"""

import json
import sys
import zipfile
from pathlib import Path


def main():
    """Put SITE on the path and make that framework's samples."""
    site, framework, folder = sys.argv[1:]
    sys.path.insert(0, site)
    {"tensorflow": with_tensorflow, "torch": with_torch, "onnx": with_onnx}[framework](Path(folder))


def remember(folder, **outputs):
    """Keep what a model answers to [[1, 2]]."""
    path = folder / "answers.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | outputs, indent=1) + "\n")


def with_tensorflow(folder):
    """A Keras model of two dense layers in all formats of TensorFlow, and some that do more than compute."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="relu"), tf.keras.layers.Dense(3)])
    model.build((None, 2))
    model.save(folder / "dense.keras")
    model.save(folder / "dense.h5")
    model.export(folder / "dense_savedmodel")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "dense.tflite").write_bytes(converter.convert())
    remember(folder, dense=model(tf.constant([[1.0, 2.0]])).numpy().tolist())

    colours = tf.keras.Sequential([tf.keras.layers.GlobalAveragePooling2D(input_shape=(8, 8, 3))])
    converter = tf.lite.TFLiteConverter.from_keras_model(colours)
    (folder / "colours.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([tf.fill((1, 8, 8, 3), level / 50)] for level in range(51))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "colours_int8.tflite").write_bytes(converter.convert())

    with_lambda = tf.keras.Sequential([tf.keras.layers.Lambda(lambda x: x + 1, input_shape=(2,))])
    with_lambda.save(folder / "lambda.keras")

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def __call__(self, text):
            tf.io.write_file("/tmp/written-by-a-model", text)
            return text

    tf.saved_model.save(Writes(), str(folder / "writes_savedmodel"))


def with_torch(folder):
    """A linear layer as TorchScript, as tensors only, as a pickled module, and in the format before zip files."""
    import torch

    torch.manual_seed(1)
    model = torch.nn.Linear(2, 3)
    torch.jit.script(model).save(str(folder / "linear_script.pt"))
    without_debug(folder / "linear_script.pt")
    remember(folder, linear=model(torch.tensor([[1.0, 2.0]])).tolist())
    torch.save(model.state_dict(), folder / "linear_state.pt")
    torch.save({"epoch": 3, "model": model.state_dict()}, folder / "checkpoint.pth")
    torch.save(model, folder / "linear_module.pt")
    torch.save(model.state_dict(), folder / "linear_legacy.pt", _use_new_zipfile_serialization=False)


def without_debug(path):
    """Take out of a TorchScript file which folder of which machine its sources lay in."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".debug_pkl")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def with_onnx(folder):
    """A matrix product, with its weights inside and beside it."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "weights")
    shapes = {"x": [None, 2], "y": [None, 3]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "matmul", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "matmul.onnx")
    (folder / "external").mkdir(exist_ok=True)
    onnx.save(
        model, folder / "external" / "matmul.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )


if __name__ == "__main__":
    main()
