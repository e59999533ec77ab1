"""TensorFlow SavedModel: a folder with a protocol buffer of graphs, and variables beside it."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError
from efsprov.models.formats.inspection import Risk, damaged
from efsprov.models.formats.mapped import mapped
from efsprov.models.formats.protobuf import WireError, fields, text

NAMES: Final = ("saved_model.pb", "saved_model.pbtxt")
# Field numbers: tensorflow/core/protobuf/{saved_model,meta_graph}.proto, core/framework/{graph,function,node_def}.proto
_SAVED_META_GRAPHS, _META_GRAPH_DEF = 2, 2
_GRAPH_NODES, _GRAPH_LIBRARY = 1, 2
_LIBRARY_FUNCTIONS, _FUNCTION_SIGNATURE, _FUNCTION_NODES = 1, 1, 3
_NODE_OP, _OP_NAME = 2, 1
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_WHAT: Final = "SavedModel"


def check_savedmodel(folder: Path, name: str) -> tuple[Risk, ...]:
    """Check a SavedModel and return what in it is more than TensorFlow's own computations; raises ``ModelError``.

    ``name`` is the folder's path in the model, '' for the model itself.
    """
    _check_variables(folder)
    place = f"{name}/{NAMES[0]}" if name else NAMES[0]
    if not (folder / NAMES[0]).is_file():
        text_form = place.replace(NAMES[0], NAMES[1])
        return (Risk("savedmodel-ops", text_form, "is in text form, whose operations efsprov does not read"),)
    with mapped(folder / NAMES[0]) as data:
        try:
            unknown = sorted(_used_ops(data) - known_ops())
        except WireError as error:
            raise damaged(folder / NAMES[0], str(error), what=_WHAT) from error
    if not unknown:
        return ()
    more = f" and {len(unknown) - 4} more" if len(unknown) > 4 else ""
    plural = "s" if len(unknown) > 1 else ""
    why = f"uses the operation{plural} {', '.join(unknown[:4])}{more}, which may do more than compute"
    return (Risk("savedmodel-ops", place, why),)


@cache
def known_ops() -> frozenset[str]:
    """The operations of TensorFlow that only compute, or read and write the checkpoint that they are told to."""
    lines = resources("efsprov.models.formats").joinpath("known_ops.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _used_ops(data: memoryview) -> set[str]:
    graphs = [field for field in fields(data, 0, len(data)) if field.number == _SAVED_META_GRAPHS]
    if not graphs:
        raise WireError("it has no graph")
    used: set[str] = set()
    own: set[str] = set()
    for meta in graphs:
        for field in fields(data, *meta.span):
            if field.number == _META_GRAPH_DEF:
                used.update(_ops_of_graph(data, *field.span, own))
    return used - own


def _ops_of_graph(data: memoryview, start: int, end: int, own: set[str]) -> Iterator[str]:
    """Yield the operations that a graph uses; adds the names of its own functions, which are called like them."""
    for field in fields(data, start, end):
        if field.number == _GRAPH_NODES:
            yield from _op_of_node(data, *field.span)
        elif field.number == _GRAPH_LIBRARY:
            for function in fields(data, *field.span):
                if function.number == _LIBRARY_FUNCTIONS:
                    yield from _ops_of_function(data, *function.span, own)


def _ops_of_function(data: memoryview, start: int, end: int, own: set[str]) -> Iterator[str]:
    for field in fields(data, start, end):
        if field.number == _FUNCTION_SIGNATURE:
            own.update(text(data, part) for part in fields(data, *field.span) if part.number == _OP_NAME)
        elif field.number == _FUNCTION_NODES:
            yield from _op_of_node(data, *field.span)


def _op_of_node(data: memoryview, start: int, end: int) -> Iterator[str]:
    return (text(data, field) for field in fields(data, start, end) if field.number == _NODE_OP)


def _check_variables(folder: Path) -> None:
    variables = folder / "variables"
    names = {entry.name for entry in variables.iterdir()} if variables.is_dir() else set()
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    wanted = max((int(match[2]) for match in shards), default=0)
    if "variables.index" in names:
        wanted = max(wanted, 1)
    elif shards:
        raise _missing(variables, "variables.index")
    for number in range(wanted):
        if (name := f"variables.data-{number:05}-of-{wanted:05}") not in names:
            raise _missing(variables, name)


def _missing(variables: Path, name: str) -> ModelError:
    return ModelError(
        f"{variables} lacks {name}: the SavedModel is not whole.",
        hint="Nothing was published. Push the folder that `model.export` or `tf.saved_model.save` wrote, with all in it.",
    )
