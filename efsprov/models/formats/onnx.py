"""ONNX: a ModelProto, whose weights may lie in files beside it (https://onnx.ai/onnx/repo-docs/ExternalData.html)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.core.filelist import is_inside
from efsprov.models.formats.inspection import damaged
from efsprov.models.formats.protobuf import Data, Field, WireError, fields, text
from efsprov.pipeline.tools.file_bytes import file_bytes

# Field numbers, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_OPSETS, _MODEL_FUNCTIONS = 1, 7, 8, 25
_GRAPH_NODES, _GRAPH_INITIALIZERS, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODES: Final = 7
_NODE_ATTRIBUTES: Final = 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 8, 13, 14, 1
_WHAT: Final = "ONNX model"
_DEEPEST: Final = 64


def check_onnx(path: Path) -> frozenset[str]:
    """Check that ``path`` is a whole model and that the data outside it is there; return the names of those files.

    Raises ``ModelError``.
    """
    with file_bytes(path) as data:
        try:
            places = {_place_of(path, data, tensor) for tensor in _tensors_of_model(data)}
        except WireError as error:
            raise damaged(path, str(error), what=_WHAT) from error
    return frozenset(places - {""})


def _tensors_of_model(data: Data) -> Iterator[Field]:
    seen = {field.number for field in fields(data, 0, len(data))}
    if not seen >= {_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_OPSETS}:
        raise WireError("it has no graph, no version or no operator set")
    for field in fields(data, 0, len(data)):
        if field.number == _MODEL_GRAPH:
            yield from _tensors_of_graph(data, field, 0)
        elif field.number == _MODEL_FUNCTIONS:
            for node in fields(data, *field.span):
                if node.number == _FUNCTION_NODES:
                    yield from _tensors_of_node(data, node, 0)


def _tensors_of_graph(data: Data, graph: Field, depth: int) -> Iterator[Field]:
    if depth > _DEEPEST:
        raise WireError(f"its graphs are nested more than {_DEEPEST} deep")
    for field in fields(data, *graph.span):
        if field.number == _GRAPH_INITIALIZERS:
            yield field
        elif field.number == _GRAPH_SPARSE:
            yield from _tensors_of_sparse(data, field)
        elif field.number == _GRAPH_NODES:
            yield from _tensors_of_node(data, field, depth)


def _tensors_of_node(data: Data, node: Field, depth: int) -> Iterator[Field]:
    for attribute in fields(data, *node.span):
        if attribute.number != _NODE_ATTRIBUTES:
            continue
        for field in fields(data, *attribute.span):
            if field.number in {_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS}:
                yield field
            elif field.number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
                yield from _tensors_of_graph(data, field, depth + 1)
            elif field.number in {_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES}:
                yield from _tensors_of_sparse(data, field)


def _tensors_of_sparse(data: Data, sparse: Field) -> Iterator[Field]:
    for field in fields(data, *sparse.span):
        if field.number in {_SPARSE_VALUES, _SPARSE_INDICES}:
            yield field


def _place_of(path: Path, data: Data, tensor: Field) -> str:
    """Return the file that a tensor's data lies in, once it is checked; '' for the model itself."""
    found = list(fields(data, *tensor.span))
    if not any(field.number == _TENSOR_LOCATION and field.value == _EXTERNAL for field in found):
        return ""
    name = next((text(data, field) for field in found if field.number == _TENSOR_NAME), "")
    result: dict[str, str] = {}
    for field in found:
        if field.number == _TENSOR_EXTERNAL:
            pair = {part.number: text(data, part) for part in fields(data, *field.span)}
            result[pair.get(1, "")] = pair.get(2, "")
    location, offset, length = result.get("location", ""), result.get("offset", "0"), result.get("length", "0")
    if not is_inside(location):
        raise ModelError(
            f"{path}: the data of tensor {name!r} lies at {location!r}, outside of the model's folder.",
            hint="Nothing was published. Save the model again with its data beside it.",
        )
    beside = path.parent / location
    if not beside.is_file():
        raise ModelError(
            f"{path}: its external data is missing: {location!r} (tensor {name!r}).",
            hint=f"Nothing was published. Put {location} beside {path.name} and push the folder that holds both.",
        )
    if not (offset.isdecimal() and length.isdecimal()) or int(offset) + int(length) > beside.stat().st_size:
        raise damaged(
            beside, f"tensor {name!r} is {length} bytes from byte {offset} on, past its end", what="ONNX data file"
        )
    return location
