"""TFLite: a FlatBuffer whose root is a Model (tensorflow/lite/schema/schema.fbs; https://flatbuffers.dev/internals/)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from efsprov.models.formats.graphs import known_ops
from efsprov.models.formats.inspection import damaged
from efsprov.pipeline.tools.file_bytes import FileBytes, file_bytes

IDENTIFIER: Final = b"TFL3"
_MODEL_VERSION, _MODEL_OPERATORS, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 0, 1, 2, 4
_OPERATOR_CUSTOM: Final = 1
_FLEX: Final = "Flex"
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS = 0, 1, 2
_TENSOR_BUFFER = 2
_BUFFER_OFFSET, _BUFFER_SIZE = 1, 2
_WHAT: Final = "TFLite model"

# What lies behind a table's fields: a vector of numbers so many bytes wide (a text is one of bytes), another table, or
# a vector of tables.
_Shape = dict[int, "int | _Shape | list[_Shape]"]
_QUANTIZATION: Final[_Shape] = {0: 4, 1: 4, 2: 4, 3: 8}
_TENSOR: Final[_Shape] = {0: 4, 3: 1, 4: _QUANTIZATION}
_OPERATOR: Final[_Shape] = {1: 4, 2: 4, 5: 1}
_NAMED_TENSOR: Final[_Shape] = {0: 1}
_MODEL: Final[_Shape] = {
    1: [{1: 1}],  # operator codes
    2: [{0: [_TENSOR], 1: 4, 2: 4, 3: [_OPERATOR], 4: 1}],  # graphs
    3: 1,
    4: [{0: 1}],  # buffers: the weights
    5: 4,
    6: [{0: 1}],
    7: [{0: [_NAMED_TENSOR], 1: [_NAMED_TENSOR], 2: 1}],  # signatures
}


def check_tflite(path: Path) -> None:
    """Check that the model's graph and all of its weights lie in the file; raises ``ModelError``."""
    with file_bytes(path) as data:
        if bytes(data[4:8]) != IDENTIFIER:
            raise damaged(path, "it lacks the identifier TFL3", what=_WHAT)
        try:
            model = _Table(data, _u32(data, 0))
            _check_shape(model, _MODEL, set())
            _check_model(model)
        except IndexError as error:
            raise damaged(path, f"it is truncated ({error})", what=_WHAT) from error
        except ValueError as error:
            raise damaged(path, str(error), what=_WHAT) from error


def flex_operations(path: Path) -> set[str]:
    """Return the operations of TensorFlow that a sound model calls through the Flex delegate and that may do more than
    compute: https://ai.google.dev/edge/litert/models/ops_select.
    """
    with file_bytes(path) as data:
        codes = _Table(data, _u32(data, 0)).tables(_MODEL_OPERATORS)
        names = {code.text(_OPERATOR_CUSTOM) for code in codes}
    return {name.removeprefix(_FLEX) for name in names if name.startswith(_FLEX)} - known_ops()


def _check_shape(table: "_Table", shape: _Shape, seen: set[tuple[int, int]]) -> None:
    """Look whether all that a table holds, and all below it, lies in the file; each table once."""
    if (table.at, id(shape)) in seen:
        return
    seen.add((table.at, id(shape)))
    table.check()
    for number, behind in shape.items():
        match behind:
            case int(width):
                table.vector(number, width)
            case [below]:
                for each in table.tables(number):
                    _check_shape(each, below, seen)
            case dict(below):
                if (inner := table.table(number)) is not None:
                    _check_shape(inner, below, seen)


def _check_model(model: "_Table") -> None:
    if (version := model.u32(_MODEL_VERSION)) != 3:
        raise ValueError(f"it is of schema version {version}, TFLite reads 3")
    buffers = list(model.tables(_MODEL_BUFFERS))
    for buffer in buffers:
        start, size = buffer.u64(_BUFFER_OFFSET), buffer.u64(_BUFFER_SIZE)
        if start > 1 and start + size > len(buffer.data):  # data after the FlatBuffer: files over 2 GB
            raise IndexError(f"a buffer is to lie at bytes {start} to {start + size}")
    graphs = {graph.at: graph for graph in model.tables(_MODEL_SUBGRAPHS)}.values()
    if not graphs:
        raise ValueError("it holds no graph")
    for graph in graphs:
        tensors = list(graph.tables(_SUBGRAPH_TENSORS))
        used = {tensor.u32(_TENSOR_BUFFER) for tensor in tensors}
        if tensors and max(used) >= max(len(buffers), 1):
            raise ValueError(f"a tensor uses buffer {max(used)} of {len(buffers)}")
        ends = [*graph.numbers(_SUBGRAPH_INPUTS), *graph.numbers(_SUBGRAPH_OUTPUTS)]
        if ends and max(ends) >= len(tensors):
            raise ValueError(f"its inputs and outputs name tensor {max(ends)} of {len(tensors)}")


@dataclass(frozen=True)
class _Table:
    """A FlatBuffers table at byte ``at``; raises ``IndexError`` for whatever would lie outside of the file."""

    data: FileBytes
    at: int

    def _field(self, number: int) -> int | None:
        """Return where a field lies; None where it is not set, which means its default, 0."""
        vtable = self.at - int.from_bytes(_slice(self.data, self.at, 4), "little", signed=True)
        entry = 4 + 2 * number
        if entry + 2 > int.from_bytes(_slice(self.data, vtable, 2), "little"):
            return None
        offset = int.from_bytes(_slice(self.data, vtable + entry, 2), "little")
        return self.at + offset if offset else None

    def u32(self, number: int) -> int:
        place = self._field(number)
        return 0 if place is None else _u32(self.data, place)

    def u64(self, number: int) -> int:
        place = self._field(number)
        return 0 if place is None else int.from_bytes(_slice(self.data, place, 8), "little")

    def check(self) -> None:
        vtable = self.at - int.from_bytes(_slice(self.data, self.at, 4), "little", signed=True)
        _slice(self.data, self.at, int.from_bytes(_slice(self.data, vtable + 2, 2), "little"))

    def vector(self, number: int, width: int) -> tuple[int, int]:
        place = self._field(number)
        if place is None:
            return 0, 0
        start = place + _u32(self.data, place)
        count = _u32(self.data, start)
        if start + 4 + count * width > len(self.data):
            raise IndexError(f"{count * width} bytes are to lie at byte {start + 4} of {len(self.data)}")
        return start + 4, count

    def text(self, number: int) -> str:
        start, length = self.vector(number, 1)
        return bytes(_slice(self.data, start, length)).decode("utf-8", "replace")

    def numbers(self, number: int) -> Iterator[int]:
        start, count = self.vector(number, 4)
        return (_u32(self.data, start + 4 * index) for index in range(count))

    def tables(self, number: int) -> Iterator["_Table"]:
        start, count = self.vector(number, 4)
        for place in range(start, start + 4 * count, 4):
            yield _Table(self.data, place + _u32(self.data, place))

    def table(self, number: int) -> "_Table | None":
        place = self._field(number)
        return None if place is None else _Table(self.data, place + _u32(self.data, place))


def _slice(data: FileBytes, at: int, length: int) -> bytes:
    if at < 0 or at + length > len(data):
        raise IndexError(f"something is to lie at byte {at} of {len(data)}")
    return data[at : at + length]


def _u32(data: FileBytes, at: int) -> int:
    return int.from_bytes(_slice(data, at, 4), "little")
