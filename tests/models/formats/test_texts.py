"""Texts that name code which a loader imports, and texts that do not."""

import json

import pytest

from efsprov.models.formats.texts import is_text, text_risks


def kinds(content, name="config.json"):
    return [kind for kind, _ in text_risks(content.encode() if isinstance(content, str) else content, name)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", json.dumps({"auto_map": {"AutoModel": "modeling.Evil"}})),
        ("config.json", json.dumps({"encoder": [{"_target_": "os.system", "command": "id"}]})),
        ("x.json", json.dumps({"py/object": "os.system"})),
        ("schema.json", json.dumps({"__class__": "X", "__module__": "os", "__loader__": "ObjectNode"})),
        ("model.yaml", "a: !!python/object/apply:os.system ['id']\n"),
        ("model.yaml", "a: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']\n"),
        ("model.yaml", "%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system ['id']\n"),
        ("model.yaml", "encoder:\n  _target_: os.system\n"),
        ("MLmodel", "flavors:\n  python_function:\n    loader_module: evil\n"),
        ("model.yaml", '{"_target_": os.system, }'),
    ],
)
def test_code_that_a_configuration_names_needs_trust(name, content):
    assert kinds(content, name) == ["code"]


@pytest.mark.parametrize(
    "content",
    [
        {"class_name": "Lambda", "config": {}},
        {"model": {"class_name": "MyLayer", "config": {}}},
        {
            "modelTopology": {
                "model_config": {"class_name": "Sequential", "config": [{"class_name": "function", "config": "x"}]}
            }
        },
    ],
)
def test_a_keras_configuration_in_any_json_is_inspected(content):
    assert set(kinds(json.dumps(content), "model.json")) == {"keras-code"}


@pytest.mark.parametrize(
    "content",
    [
        'node {\n name: "x"\n op: "WriteFile"\n}',
        'meta_graphs { graph_def { node { op: "PyFunc" } } }',
        '# c\nnode_def { op: "X" }',
    ],
)
@pytest.mark.parametrize("name", ["graph.pbtxt", "graph.txt", "frozen"])
def test_a_graph_in_text_form_needs_trust(content, name):
    assert kinds(content, name) == ["savedmodel-ops"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"architectures": ["BertModel"], "hidden_size": 768}'),
        ("label_map.pbtxt", 'item {\n id: 1\n name: "cat"\n}'),
        ("config.pbtxt", 'name: "m"\nplatform: "onnxruntime_onnx"\n'),
        ("vocab.txt", "[PAD]\n[UNK]\nthe\n"),
        ("model.yaml", "a: 1\nb: [x, y]\n"),
        ("model.txt", "tree\nversion=v4\nnum_class=1\n"),
        ("modules.json", '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]'),
        ("bom.json", '\ufeff{"a": 1}'),
    ],
)
def test_what_people_have_beside_a_model_needs_none(name, content):
    assert kinds(content, name) == []


def test_json_that_is_nested_too_deep_is_not_understood():
    assert kinds("[" * 200_000 + "]" * 200_000) == ["unknown"]


@pytest.mark.parametrize(
    "content", [b"abc", "äöü".encode(), b"\x1b[0m", "€".encode() + b"abc" + "€".encode()[:2], b"a\tb\r\n"]
)
def test_texts(content):
    assert is_text(content, cut=True)


def test_a_letter_that_is_cut_off_ends_no_whole_text():
    assert not is_text("é".encode()[:1])
    assert not is_text("latin-1: é".encode("latin-1"))


@pytest.mark.parametrize("content", [b"\0", b"a\x01", b"\xff\xfea\0", b"\xe9t\xe9", b"\x93NUMPY"])
def test_no_texts(content):
    assert not is_text(content)
