"""Operations wherever in a graph they hide, and Keras's code in what lies beside it."""

import json
import shutil

import pytest

from efsprov.core.errors import ModelError
from efsprov.models.formats.detect import inspect_model
from efsprov.models.formats.graphs import known_ops


def varint(number):
    encoded = b""
    while number > 0x7F:
        encoded, number = encoded + bytes([number & 0x7F | 0x80]), number >> 7
    return encoded + bytes([number])


def message(number, *parts):
    content = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(op, *attributes):
    return message(1, message(1, "n"), message(2, op), *attributes)


def attribute(name, value):
    return message(5, message(1, name), message(2, value))


def calls(function, *inner):
    return message(10, message(1, function), *inner)


def function(name, *ops, extra=b""):
    return message(1, message(1, message(1, name)), *(message(3, message(1, "n"), message(2, op)) for op in ops), extra)


def graph(*nodes, functions=()):
    return b"".join(nodes) + (message(2, *functions) if functions else b"")


def saved(*graphs, objects=b""):
    return b"".join(message(2, message(2, each), objects) for each in graphs)


def put(folder, content, name="saved_model.pb"):
    (folder / name).write_bytes(content)
    return inspect_model(folder, sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()))


SOUND = {
    "one operation": graph(node("MatMul")),
    "a function of its own": graph(node("__inference_f_1"), functions=[function("__inference_f_1", "MatMul")]),
    "a call of its own": graph(
        node("PartitionedCall", attribute("f", calls("__inf_1"))), functions=[function("__inf_1", "Add")]
    ),
}
HIDING = {
    "a node": graph(node("WriteFile")),
    "the library": graph(node("MatMul"), functions=[function("__f", "WriteFile")]),
    "a function under an operation's name": graph(node("WriteFile"), functions=[function("WriteFile", "MatMul")]),
    "an attribute": graph(node("PartitionedCall", attribute("f", calls("WriteFile")))),
    "a list in an attribute": graph(
        node("Case", attribute("branches", message(1, message(9, message(1, "WriteFile")))))
    ),
    "an attribute of an attribute": graph(
        node("If", attribute("f", calls("MatMul", message(2, message(1, "g"), message(2, calls("WriteFile"))))))
    ),
    "an attribute of a function": graph(
        node("MatMul"), functions=[function("__f", "Add", extra=attribute("f", calls("WriteFile")))]
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_only_computes_needs_none(tmp_path, name):
    assert put(tmp_path, saved(SOUND[name])).risks == ()
    assert "MatMul" in known_ops()


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.parametrize("where", ["alone", "in the second meta graph", "in the first of two"])
def test_an_operation_is_found_wherever_it_hides(tmp_path, name, where):
    graphs = {"alone": [HIDING[name]], "in the second meta graph": [graph(node("MatMul")), HIDING[name]]}
    (risk,) = put(tmp_path, saved(*graphs.get(where, [HIDING[name], graph(node("MatMul"))]))).risks
    assert risk.kind == "savedmodel-ops"
    assert "WriteFile" in risk.why


def test_a_function_of_one_meta_graph_hides_no_operation_of_another(tmp_path):
    other = graph(node("MatMul"), functions=[function("my_write", "MatMul")])
    (risk,) = put(tmp_path, saved(graph(node("my_write")), other)).risks
    assert "my_write" in risk.why


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt"])
def test_forms_that_are_not_read_need_trust_also_beside_one_that_is(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 50)
    assert [risk.path for risk in put(tmp_path, saved(SOUND["one operation"])).risks] == [name]
    (tmp_path / "saved_model.pb").unlink()
    (risk,) = inspect_model(tmp_path, [name]).risks
    assert risk.kind == "savedmodel-ops"


@pytest.mark.parametrize("name", HIDING)
def test_a_frozen_graph_is_inspected(tmp_path, name):
    (risk,) = put(tmp_path, HIDING[name], "frozen_inference_graph.pb").risks
    assert (risk.kind, "WriteFile" in risk.why) == ("savedmodel-ops", True)


def test_a_frozen_graph_that_only_computes_needs_none(tmp_path):
    assert put(tmp_path, SOUND["a function of its own"], "graph.pb").risks == ()


def test_a_pb_that_is_no_graph_is_not_understood(tmp_path):
    assert [risk.kind for risk in put(tmp_path, b"\x00\x01\xff", "x.pb").risks] == ["unknown"]


LAMBDA = json.dumps({"class_name": "Lambda", "config": {"function": ["4wEAAA==", None, None]}})
DENSE = json.dumps({"class_name": "Dense", "config": {"units": 3}})


@pytest.mark.parametrize(
    ("metadata", "kinds"), [(LAMBDA, ["keras-code"]), (DENSE, []), ("{", ["keras-code"]), ("", [])]
)
def test_keras_metadata_is_inspected(samples, tmp_path, metadata, kinds):
    """`tf.keras.models.load_model` makes the layers of a SavedModel from there, Lambda layers too."""
    shutil.copytree(samples / "dense_savedmodel", tmp_path / "m")
    (tmp_path / "m" / "keras_metadata.pb").write_bytes(message(1, message(4, "_tf_keras_layer"), message(5, metadata)))
    found = inspect_model(
        tmp_path / "m", sorted(str(f.relative_to(tmp_path / "m")) for f in (tmp_path / "m").rglob("*.*"))
    )
    assert [risk.kind for risk in found.risks] == kinds
    assert found.format == "savedmodel"


@pytest.mark.parametrize(("metadata", "kinds"), [(LAMBDA, ["keras-code"]), (DENSE, [])])
def test_so_is_what_older_versions_keep_among_the_objects(tmp_path, metadata, kinds):
    objects = message(7, message(1, message(4, message(1, "_tf_keras_layer"), message(3, metadata))))
    assert [risk.kind for risk in put(tmp_path, saved(SOUND["one operation"], objects=objects)).risks] == kinds


def test_damaged_keras_metadata_is_refused(samples, tmp_path):
    shutil.copytree(samples / "dense_savedmodel", tmp_path / "m")
    (tmp_path / "m" / "keras_metadata.pb").write_bytes(b"\x0a\xff")
    with pytest.raises(ModelError, match="not a sound SavedModel"):
        inspect_model(tmp_path / "m", ["saved_model.pb", "keras_metadata.pb"])


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("assets.extra/ops.so", b"\x7fELF" + b"\0" * 60, "code"),
        ("assets/vocabulary", b"\x80\x04K\x01.", "pickle"),
        ("variables/extra.pkl", b"\x80\x04K\x01.", "pickle"),
        ("variables/other.bin", b"\0\1\2", "unknown"),
        ("fingerprint.pb", b"\xff\xff", "unknown"),
    ],
)
def test_what_lies_beside_the_graph_is_judged(samples, tmp_path, file, content, kind):
    top = tmp_path / "m"
    shutil.copytree(samples / "dense_savedmodel", top)
    (top / file).parent.mkdir(exist_ok=True)
    (top / file).write_bytes(content)
    found = inspect_model(top, sorted(str(f.relative_to(top)) for f in top.rglob("*") if f.is_file()))
    assert [(risk.kind, risk.path) for risk in found.risks] == [(kind, file)]


def test_assets_that_are_texts_need_none(samples, tmp_path):
    top = tmp_path / "m"
    shutil.copytree(samples / "dense_savedmodel", top)
    (top / "assets").mkdir()
    (top / "assets" / "vocab.txt").write_text("cat\ndog\n")
    found = inspect_model(top, sorted(str(f.relative_to(top)) for f in top.rglob("*") if f.is_file()))
    assert (found.format, found.risks) == ("savedmodel", ())


def test_operations_that_tflite_borrows_from_tensorflow_are_inspected(samples, tmp_path):
    content = (samples / "dense.tflite").read_bytes()
    assert inspect_model(samples, ["dense.tflite"]).risks == ()
    (tmp_path / "flex.tflite").write_bytes(with_custom_operator(content, b"FlexWriteFile"))
    (risk,) = inspect_model(tmp_path, ["flex.tflite"]).risks
    assert (risk.kind, "WriteFile" in risk.why) == ("savedmodel-ops", True)
    (tmp_path / "flex.tflite").write_bytes(with_custom_operator(content, b"FlexMatMul"))
    assert inspect_model(tmp_path, ["flex.tflite"]).risks == ()


def with_custom_operator(content, name):
    """Append a vector of one operator code, which has a custom code, and let the model's root point to it.

    Offsets in a FlatBuffer point forward, except those to vtables.
    """
    data = bytearray(content + b"\0" * (-len(content) % 4))

    def number(at, width=4):
        return int.from_bytes(data[at : at + width], "little")

    root = number(0)
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    field = root + number(vtable + 4 + 2 * 1, 2)
    vector = len(data)
    fields = b"".join(
        value.to_bytes(2, "little") for value in (8, 8, 0, 4)
    )  # sizes; no builtin code; the custom one at 4
    table = vector + 8 + len(fields)
    data += (1).to_bytes(4, "little") + (table - vector - 4).to_bytes(4, "little") + fields
    data += len(fields).to_bytes(4, "little", signed=True) + (4).to_bytes(4, "little")
    data += len(name).to_bytes(4, "little") + name + b"\0" * (4 - len(name) % 4)
    data[field : field + 4] = (vector - field).to_bytes(4, "little")
    return bytes(data)
