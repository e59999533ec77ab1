"""TensorFlow's graphs as protocol buffers: which operations they use, and what else in them names code.

An operation is named by a node of a graph, by a node of a function in a graph's library, and by a node's attribute that
names what it calls. A function's name counts for the graph that defines it alone, and not where it looks like an
operation's: TensorFlow looks a name up among its operations, too.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as resources
from typing import Final

from efsprov.models.formats.keras_config import code_in
from efsprov.models.formats.protobuf import Data, Field, WireError, fields, text

# Field numbers, from TensorFlow's core/protobuf (saved_model, meta_graph, saved_object_graph) and core/framework (graph,
# function, node_def, attr_value), and from Keras's protobuf/saved_metadata.
_SAVED_META_GRAPHS, _META_GRAPH_DEF, _META_OBJECTS = 2, 2, 7
_GRAPH_NODES, _GRAPH_LIBRARY = 1, 2
_LIBRARY_FUNCTIONS, _FUNCTION_SIGNATURE, _FUNCTION_NODES, _FUNCTION_ATTR = 1, 1, 3, 5
_NODE_OP, _NODE_ATTR, _OP_NAME = 2, 5, 1
_ENTRY_VALUE, _ATTR_LIST, _ATTR_FUNC, _LIST_FUNC, _FUNC_NAME, _FUNC_ATTR = 2, 1, 10, 9, 1, 2
_OBJECTS_NODES, _OBJECT_USER, _USER_METADATA = 1, 4, 3
_KERAS_NODES, _KERAS_METADATA = 1, 5
_DEEPEST: Final = 16
_LIKE_AN_OPERATION: Final = re.compile(r"_?[A-Z][A-Za-z0-9]*(?:>[A-Za-z0-9]+)?")


@dataclass
class _Graph:
    """What one graph uses and defines by name."""

    used: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)

    @property
    def unknown(self) -> set[str]:
        own = {name for name in self.own if not _LIKE_AN_OPERATION.fullmatch(name)}
        return self.used - own - known_ops()


@cache
def known_ops() -> frozenset[str]:
    """The operations of TensorFlow that only compute, or read and write the checkpoint that they are told to."""
    lines = resources("efsprov.models.formats").joinpath("known_ops.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def unknown_ops_of_saved_model(data: Data) -> set[str]:
    """Return what any meta graph of a SavedModel uses besides known operations; raises ``WireError``."""
    metas = [each for each in fields(data, 0, len(data)) if each.number == _SAVED_META_GRAPHS]
    if not metas:
        raise WireError("it has no graph")
    unknown: set[str] = set()
    for meta in metas:
        graph = _Graph()
        for part in fields(data, *meta.span):
            if part.number == _META_GRAPH_DEF:
                _read_graph(data, *part.span, graph)
        unknown |= graph.unknown
    return unknown


def unknown_ops_of_graph(data: Data) -> set[str] | None:
    """Return what a frozen graph (a GraphDef) uses besides known operations, None where the bytes are no such graph."""
    graph = _Graph()
    try:
        _read_graph(data, 0, len(data), graph)
    except WireError:
        return None
    return graph.unknown if graph.used else None


def code_of_saved_model(data: Data) -> Iterator[str]:
    """Yield what the Keras configurations in a SavedModel's objects name that is not Keras's own; raises ``WireError``.

    TensorFlow 2.1 to 2.4 keeps them there, later ones in keras_metadata.pb.
    """
    for meta in fields(data, 0, len(data)):
        if meta.number != _SAVED_META_GRAPHS:
            continue
        for objects in fields(data, *meta.span):
            if objects.number == _META_OBJECTS:
                for node in _below(data, objects, _OBJECTS_NODES):
                    for user in _below(data, node, _OBJECT_USER):
                        for metadata in _below(data, user, _USER_METADATA):
                            yield from _code_in_text(data, metadata)


def code_of_keras_metadata(data: Data) -> Iterator[str]:
    """Yield what the configurations in keras_metadata.pb name that is not Keras's own; raises ``WireError``."""
    for node in fields(data, 0, len(data)):
        if node.number == _KERAS_NODES:
            for metadata in fields(data, *node.span):
                if metadata.number == _KERAS_METADATA:
                    yield from _code_in_text(data, metadata)


def _code_in_text(data: Data, found: Field) -> Iterator[str]:
    content = text(data, found)
    if not content.lstrip().startswith("{"):
        return
    try:
        yield from code_in(json.loads(content))
    except (ValueError, RecursionError):
        yield "has a Keras configuration that cannot be read"


def _below(data: Data, parent: Field, number: int) -> Iterator[Field]:
    return (each for each in fields(data, *parent.span) if each.number == number)


def _read_graph(data: Data, start: int, end: int, graph: _Graph) -> None:
    for part in fields(data, start, end):
        if part.number == _GRAPH_NODES:
            _read_node(data, part, graph)
        elif part.number == _GRAPH_LIBRARY:
            for function in _below(data, part, _LIBRARY_FUNCTIONS):
                _read_function(data, function, graph)


def _read_function(data: Data, function: Field, graph: _Graph) -> None:
    for part in fields(data, *function.span):
        if part.number == _FUNCTION_SIGNATURE:
            graph.own.update(text(data, name) for name in _below(data, part, _OP_NAME))
        elif part.number == _FUNCTION_NODES:
            _read_node(data, part, graph)
        elif part.number == _FUNCTION_ATTR:
            _read_attribute(data, part, graph, 0)


def _read_node(data: Data, node: Field, graph: _Graph) -> None:
    for part in fields(data, *node.span):
        if part.number == _NODE_OP:
            graph.used.add(text(data, part))
        elif part.number == _NODE_ATTR:
            _read_attribute(data, part, graph, 0)


def _read_attribute(data: Data, entry: Field, graph: _Graph, depth: int) -> None:
    """Add the functions that an attribute (an entry of a map) names: what the node calls."""
    if depth > _DEEPEST:
        raise WireError(f"its attributes are nested more than {_DEEPEST} deep")
    for value in _below(data, entry, _ENTRY_VALUE):
        for part in fields(data, *value.span):
            if part.number == _ATTR_FUNC:
                _read_called(data, part, graph, depth)
            elif part.number == _ATTR_LIST and not isinstance(part.value, int):
                for called in _below(data, part, _LIST_FUNC):
                    _read_called(data, called, graph, depth)


def _read_called(data: Data, called: Field, graph: _Graph, depth: int) -> None:
    for part in fields(data, *called.span):
        if part.number == _FUNC_NAME:
            graph.used.add(text(data, part))
        elif part.number == _FUNC_ATTR:
            _read_attribute(data, part, graph, depth + 1)
