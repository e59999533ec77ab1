"""Binary files that lie beside a model and hold nothing but data, each known by its content."""

from pathlib import Path
from typing import Final

from efsprov.models.formats.protobuf import WireError, fields, text

_IMAGES_AND_SOUNDS: Final = (
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF87a"),
    (0, b"GIF89a"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (8, b"WEBP"),
    (8, b"WAVE"),
)
_GGUF: Final = b"GGUF"  # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: numbers, texts and tensors
# The last 8 bytes of a table, https://github.com/google/leveldb/blob/main/doc/table_format.md; TensorFlow's own is the same
_TABLE_FOOTER: Final = (0xDB4775248B80FB57).to_bytes(8, "little")
_SENTENCEPIECE_FIELDS: Final = frozenset((1, 2, 3, 4, 5))  # sentencepiece_model.proto: ModelProto
_PIECE, _PIECE_TEXT = 1, 1
_FIRST_TAG: Final = 0x0A  # field 1, with a length
_LARGEST: Final = 64 << 20


def is_plain_data(path: Path, head: bytes) -> bool:
    """Tell whether a file, which begins with ``head``, is of a format that only holds data."""
    if any(head[at : at + len(signature)] == signature for at, signature in _IMAGES_AND_SOUNDS):
        return True
    return head.startswith(_GGUF) or _is_checkpoint_part(path) or _is_sentencepiece(path)


def is_table(path: Path) -> bool:
    """Tell whether a file is the index of a TensorFlow checkpoint: it ends as a table does."""
    with path.open("rb") as file:
        if file.seek(0, 2) < len(_TABLE_FOOTER):
            return False
        file.seek(-len(_TABLE_FOOTER), 2)
        return file.read() == _TABLE_FOOTER


def _is_checkpoint_part(path: Path) -> bool:
    """Tell whether a file is a checkpoint's index, or one of the files of numbers that lie beside it."""
    if path.name.endswith(".index"):
        return is_table(path)
    prefix, dot, shard = path.name.rpartition(".data-")
    index = path.with_name(f"{prefix}.index")
    return bool(dot) and shard[:5].isdigit() and shard[5:9] == "-of-" and index.is_file() and is_table(index)


def _is_sentencepiece(path: Path) -> bool:
    """Tell whether a file is a vocabulary of SentencePiece: messages that each hold a piece, and the trainer's settings."""
    if path.stat().st_size > _LARGEST:
        return False
    data = path.read_bytes()
    if not data or data[0] != _FIRST_TAG:
        return False
    try:
        pieces = 0
        for field in fields(data, 0, len(data)):
            if field.number not in _SENTENCEPIECE_FIELDS:
                return False
            if field.number == _PIECE:
                pieces += any(part.number == _PIECE_TEXT and text(data, part) for part in fields(data, *field.span))
    except WireError:
        return False
    return pieces > 1
