"""Pickles: whether bytes are one that does something when it is loaded, and whether one holds tensors only.

A pickle has no signature before protocol 2, and `pickle.load` executes whatever it is given until something is wrong.
So what counts is what it would have executed by then: the instructions are followed with a stack of nothings, and none
of them is carried out.

For PyTorch's files the rule is its own: `torch.load(weights_only=True)` knows few instructions and few names
(https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only) and refuses everything else. A file that
keeps to both is loaded that way. This is not a scan for what is harmful: what does not keep to them needs trust.
"""

import io
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from efsprov.models.formats.inspection import damaged

LOOK: Final = 1 << 20
"""How many bytes are followed. The first call of a pickle comes early: what it is called with is on the stack by then."""

_INSTRUCTIONS: Final = frozenset(
    (
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
        *("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"),
        *("BINUNICODE", "SHORT_BINSTRING", "BINPERSID", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
    )
)
_TENSORS_ONLY: Final = re.compile(
    r"collections (OrderedDict|Counter)"
    r"|_codecs encode"
    r"|(builtins|__builtin__) (bytearray|set|complex)"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout"
    r"|torch\._tensor _rebuild_from_type_v2"
    r"|torch\._utils _rebuild_(parameter(_with_state)?|qtensor|tensor(_v[23])?|sparse_tensor|nested_tensor"
    r"|meta_tensor_no_storage|wrapper_subclass|device_tensor_from_(numpy|cpu_tensor))"
    r"|torch(\.storage)? (Size|Tensor|device|[A-Z][A-Za-z0-9]*Storage|per_(tensor|channel)_[a-z_]+)"
    r"|torch (bool|u?int\d+|q?u?int\d+|quint\d+x\d+|b?float\d+(_[a-z0-9_]+)?|complex\d+|bits\w+)"
)
_SIGNATURE: Final = re.compile(rb"\x80[\x00-\x05]")
# What imports a name, and what calls it.
_NAMES: Final = frozenset(("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"))
_CALLS: Final = frozenset(("REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"))
_OPCODES: Final = {instruction.code: instruction for instruction in pickletools.opcodes}
# How wide the length is that goes before an argument.
_LENGTHS: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# What ends a plain `pickle.load` at once: it has no persistent ids and no buffers.
_ENDS: Final = frozenset(("STOP", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"))


def is_pickle(content: bytes) -> bool:
    """Tell by its first bytes whether this is a pickle that says its protocol: that, and an instruction after it."""
    return _SIGNATURE.match(content) is not None and content[2:3].decode("latin-1") in _OPCODES


def runs(content: bytes, *, text: bool = False) -> str:
    """Say what `pickle.load` of these bytes would import or call before it ends or fails ('' for nothing).

    In a ``text`` a name alone does not count, for a line that begins with c is one ("cat" and the line after it); a
    call does, since what is called has to be on the stack.
    """
    stack: list[bool] = []  # True for a mark
    named = ""
    recent: list[str] = []
    try:
        for instruction, argument in _instructions(content[:LOOK]):
            name = instruction.name
            if name in _ENDS:
                break
            _take(stack, instruction)
            if name in _NAMES:
                named = named or _named(name, argument, recent)
            elif argument:
                recent = [*recent[-3:], argument.decode("utf-8", "replace")]
            if name in _CALLS and (named or not text):
                return named or "an object"
    except IndexError:
        pass  # there it fails, or the bytes that were looked at end
    return "" if text else named


def beyond_tensors(content: bytes, *, path: Path) -> str:
    """Say what in a pickle is more than tensors ('' when nothing is); raises ``ModelError`` for what is not a pickle."""
    try:
        for instruction, argument, _ in pickletools.genops(io.BytesIO(content)):
            if instruction.name == "GLOBAL" and not _TENSORS_ONLY.fullmatch(str(argument)):
                return f"names {str(argument).replace(' ', '.')}, which is called when it is loaded"
            if instruction.name not in _INSTRUCTIONS:
                return f"uses the pickle instruction {instruction.name}, which weights_only does not take"
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise damaged(path, f"its pickle is cut off or damaged ({error})", what="PyTorch file") from error
    return ""


def _named(name: str, argument: bytes, recent: list[str]) -> str:
    if name == "STACK_GLOBAL":
        return ".".join(recent[-2:]) or "a name"
    if name.startswith("EXT"):
        return f"the extension {int.from_bytes(argument, 'little')}"
    return argument.decode("utf-8", "replace").replace("\n", ".")


def _instructions(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, bytes]]:
    """Yield each instruction with its argument's bytes; raises ``IndexError`` at what is none, and at the end.

    Arguments are not read as numbers or texts: what the modules pickle and pickletools take for one differs ("0x10").
    """
    at = 0
    while True:
        instruction = _OPCODES.get(chr(content[at]))
        at += 1
        if instruction is None:
            raise IndexError("no instruction")
        start, at = _argument(content, at, instruction)
        yield instruction, content[start:at].rstrip(b"\n")


def _argument(content: bytes, at: int, instruction: pickletools.OpcodeInfo) -> tuple[int, int]:
    """Return where an instruction's argument, which begins at ``at``, has its bytes; raises ``IndexError`` at the end."""
    kind = instruction.arg
    if kind is None:
        return at, at
    if kind.n == pickletools.UP_TO_NEWLINE:
        end = at
        for _ in range(2 if instruction.name in {"GLOBAL", "INST"} else 1):
            end = content.find(b"\n", end) + 1
            if not end:
                raise IndexError("no end of the line")
        return at, end
    width = _LENGTHS.get(kind.n, 0)
    start = at + width
    end = start + (int.from_bytes(content[at:start], "little") if width else kind.n)
    if end > len(content):
        raise IndexError("it goes on after its end")
    return start, end


def _take(stack: list[bool], instruction: pickletools.OpcodeInfo) -> None:
    """Do to a stack of nothings what an instruction does to that of `pickle.load`; raises ``IndexError`` where it fails."""
    before = instruction.stack_before
    if pickletools.markobject in before or instruction.name == "POP_MARK":
        while not stack.pop():
            pass
        before = before[: before.index(pickletools.markobject)] if pickletools.markobject in before else []
    if instruction.name == "POP":
        stack.pop()
        return
    for _ in before:
        if stack.pop():
            raise IndexError("a mark is where an object is needed")
    stack.extend(each is pickletools.markobject for each in instruction.stack_after)
