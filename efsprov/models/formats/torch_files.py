"""PyTorch's zip files: TorchScript, or what `torch.save` writes."""

import re
from pathlib import Path
from typing import Final

from efsprov.models.formats.inspection import Inspection, Risk
from efsprov.models.formats.pickles import beyond_tensors
from efsprov.models.formats.zips import open_zip, read_member

_WHAT: Final = "PyTorch file"
_LARGEST_PICKLE: Final = 1 << 29
# What `torch.save` writes: the pickle, the tensors' bytes by number, and notes on how they lie.
_TENSORS_PART: Final = re.compile(
    r"data\.pkl|data/[0-9]+|version|byteorder|\.?data/serialization_id|\.data/?|\.format_version|\.storage_alignment"
)


def is_torch_archive(names: list[str]) -> bool:
    """Tell by its members whether a zip archive is PyTorch's: all lie in one folder, which has a data.pkl."""
    folders = {name.partition("/")[0] for name in names}
    return len(folders) == 1 and f"{next(iter(folders))}/data.pkl" in names


def _is_tensors_part(member: str) -> bool:
    return member.endswith("/") or _TENSORS_PART.fullmatch(member) is not None


def inspect_torch(path: Path, name: str) -> Inspection:
    """Tell which of them a file is; ``name`` is what risks call it. Raises ``ModelError`` where it is damaged."""
    with open_zip(path, what=_WHAT) as archive:
        names = archive.namelist()
        folder = names[0].partition("/")[0]
        if f"{folder}/constants.pkl" in names or any(n.startswith(f"{folder}/code/") for n in names):
            risk = Risk("torchscript", name, "is TorchScript: a program, parts of which run while it is loaded")
            return Inspection("torchscript", name, (risk,))
        if strange := next((n for n in names if not _is_tensors_part(n.removeprefix(f"{folder}/"))), ""):
            why = f"holds {strange!r}, which is not part of a file of tensors"
            return Inspection("torch-pickle", name, (Risk("unknown", name, why),))
        for member in names:
            if member.endswith(".pkl"):
                why = beyond_tensors(read_member(path, archive, member, most=_LARGEST_PICKLE), path=path)
                if why:
                    return Inspection("torch-pickle", name, (Risk("pickle", name, why),))
    return Inspection("torch-state", name)
