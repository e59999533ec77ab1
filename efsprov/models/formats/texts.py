"""Texts: labels, vocabularies, configurations. Those that name code which a loader then imports need trust."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from efsprov.models.formats.inspection import RiskKind
from efsprov.models.formats.keras_config import code_in
from efsprov.models.formats.pickles import runs

LARGEST: Final = 256 << 20
"""A text beyond that is not looked through."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# https://pyyaml.org/wiki/PyYAMLDocumentation#yaml-tags-and-python-types; hydra.cc/docs/advanced/instantiate_objects;
# mlflow.org/docs/latest/python_api/mlflow.pyfunc.html; huggingface.co/docs/transformers/custom_models
_NAMES_CODE: Final = (
    (
        re.compile(r"!!python/|!<tag:yaml\.org,2002:python/|%TAG\s.*yaml\.org,2002:python"),
        "has a YAML tag for a Python object",
    ),
    (re.compile(r"""^[\s-]*["']?_target_["']?\s*:""", re.MULTILINE), "names what is to be called (_target_)"),
    (
        re.compile(r"^\s*loader_module\s*:", re.MULTILINE),
        "names a module that MLflow imports to load it (loader_module)",
    ),
)
_JSON_NAMES_CODE: Final = {
    "_target_": "names what is to be called (_target_)",
    "auto_map": "names classes in files beside it, or in a repository (auto_map)",
    "custom_pipelines": "names classes in files beside it, or in a repository (custom_pipelines)",
    "loader_module": "names a module that is imported to load it (loader_module)",
    "__loader__": "names classes that skops imports (__loader__)",
    "py/object": "names a Python object that jsonpickle makes (py/object)",
    "py/reduce": "names a Python object that jsonpickle makes (py/reduce)",
}
_PROTOBUF: Final = re.compile(
    r"\A\s*(?:#[^\n]*\n\s*)*(?:node|node_def|library|meta_graphs|saved_model_schema_version)\s*[:{]"
)


def is_text(content: bytes, *, cut: bool = False) -> bool:
    """Tell whether this is text in UTF-8, or the beginning of one where it is ``cut`` off."""
    if _CONTROL.search(content):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return cut and error.start >= len(content) - 3 and error.reason == "unexpected end of data"
    return True


def text_risks(content: bytes, name: str) -> Iterator[tuple[RiskKind, str]]:
    """Yield (kind of risk, why) for what is in a text that a loader would import, call or execute."""
    if called := runs(content, text=True):
        yield "pickle", f"is a pickle, in text: loading it calls {called}"
    lower = name.lower()
    if lower.endswith((".py", ".pyw", ".ipynb", ".r", ".jl", ".lua")):
        yield "code", "is source code, which a loader of the model may run"
    text = content.decode("utf-8", "replace").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    if lower.endswith(".pbtxt") or _PROTOBUF.match(text):
        if "op:" in text.replace(" ", "") or "node" in text:
            yield "savedmodel-ops", "is a graph in text form, whose operations efsprov does not read"
    elif text.lstrip()[:1] in {"{", "["}:
        yield from _json_risks(text)
    else:
        yield from _named_code(text)


def _json_risks(text: str) -> Iterator[tuple[RiskKind, str]]:
    try:
        parsed = json.loads(text)
    except ValueError:  # JSON lines, YAML that begins so, or a text of another kind
        yield from _named_code(text)
        if any(f'"{key}"' in text for key in _JSON_NAMES_CODE):
            yield "code", "is not JSON, and names code as a configuration does"
        return
    except RecursionError:
        yield "unknown", "is JSON that is nested too deep to be looked through"
        return
    for why in sorted({_JSON_NAMES_CODE[key] for key in _keys(parsed) if key in _JSON_NAMES_CODE}):
        yield "code", why
    for why in sorted(set(code_in(parsed))):
        yield "keras-code", why


def _named_code(text: str) -> Iterator[tuple[RiskKind, str]]:
    for pattern, why in _NAMES_CODE:
        if pattern.search(text):
            yield "code", why


def _keys(parsed: Any) -> Iterator[str]:
    pending = [parsed]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from part
            pending += part.values()
        elif isinstance(part, list):
            pending += part
