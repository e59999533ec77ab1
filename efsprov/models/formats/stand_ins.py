"""Files that are not what their names say but stand in for it: pointers of Git LFS, error pages, nothing at all."""

import re
from pathlib import Path
from typing import Final

from efsprov.core.errors import ModelError

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_LFS: Final = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_LFS_SIZE: Final = re.compile(rb"^size (\d{1,20})$", re.MULTILINE)
_ANNEX: Final = re.compile(rb"\A(?:\.\./)*(?:\.git/annex/objects/|/annex/objects/)")
_PAGE: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_ERROR: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<Error>\s*<Code>(\w{1,60})</Code>")
_TEXTS: Final = frozenset((".html", ".htm", ".xhtml", ".xml", ".md", ".txt", ".svg", ".rst"))
# Names that never stand for an empty file. Others may: `__init__.py`, `.gitkeep`, a marker like `_SUCCESS`.
_NEVER_EMPTY: Final = frozenset(
    (
        *(".bin", ".ckpt", ".cpb", ".dat", ".dill", ".engine", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".model"),
        *(".msgpack", ".npy", ".npz", ".onnx", ".params", ".pb", ".pbtxt", ".pickle", ".pkl", ".pt", ".pth"),
        *(".safetensors", ".tflite", ".weights", ".zip", ".json"),
    )
)


def refuse_stand_in(path: Path, head: bytes, size: int) -> None:
    """Raise ``ModelError`` for a file that is not what it stands for; ``head`` are its first bytes (512 are enough)."""
    suffix = path.suffix.lower()
    if size == 0 and suffix in _NEVER_EMPTY:
        what = {".safetensors": "safetensors file", ".onnx": "ONNX model", ".tflite": "TFLite model"}.get(
            suffix, "model"
        )
        raise ModelError(
            f"{path} is not a sound {what}: it is empty, the file has 0 bytes.",
            hint="Nothing was published. Its download or copy did not take place: bring it here again, then push.",
        )
    if _LFS.match(head):
        result = _LFS_SIZE.search(head)
        stands_for = f" It stands for a file of {result[1].decode()} bytes." if result else ""
        raise ModelError(
            f"{path} is a Git LFS pointer, not the file itself.{stands_for}",
            hint="Nothing was published. In the clone: `git lfs install`, then `git lfs pull`; then push again.",
        )
    if _ANNEX.match(head) and size < 4096:
        raise ModelError(
            f"{path} is a git-annex pointer, not the file itself.",
            hint="Nothing was published. In the clone: `git annex get`; then push again.",
        )
    if suffix in _TEXTS:
        return
    if _PAGE.match(head):
        raise ModelError(
            f"{path} is an HTML page, not what its name says: an error or log-in page of the server that it came from.",
            hint="Nothing was published. Open it in a browser to see what it says; then download the file again.",
        )
    if found := _ERROR.match(head):
        raise ModelError(
            f"{path} is the error message {found[1].decode()} of an object store, not what its name says.",
            hint="Nothing was published. Download the file again, with credentials that may read it.",
        )
