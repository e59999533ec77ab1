"""Keras's configurations: what in one is more than Keras's own layers.

A configuration names classes and functions, and Keras imports and calls what is named. Its `safe_mode` asks about
lambdas only, and has been passed by through functions of Keras's own that are not layers (CVE-2025-1550, CVE-2025-8747,
CVE-2025-9906). So what is known to be part of models is listed, by module and by name, and all else needs trust.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files as resources
from typing import Any, Final

_ROOTS: Final = ("tensorflow.keras", "tensorflow.python.keras", "tf_keras", "keras_core", "keras")
_COMPANIONS: Final = ("keras_cv", "keras_nlp", "keras_hub")
# The modules below a root that hold what models are made of; `keras.utils` and its like are not among them.
_MODULES: Final = frozenset(
    (
        *("activations", "constraints", "dtype_policies", "engine", "initializers", "layers", "losses", "metrics"),
        *("mixed_precision", "models", "ops", "optimizers", "quantizers", "random", "regularizers"),
    )
)
_COMPANION_MODULES: Final = frozenset(
    ("layers", "models", "metrics", "samplers", "tokenizers", "losses", "bounding_box")
)
# What runs code or pickles although it is Keras's own.
_RUNNING_CODE: Final = frozenset(("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"))
# Keras's way of writing values that JSON has not; `__lambda__` is not among them.
_VALUES: Final = frozenset(
    (
        *("__tensor__", "__keras_tensor__", "__numpy__", "__tuple__", "__bytes__", "__complex__", "__ellipsis__"),
        *(
            "__slice__",
            "__set__",
            "__dict__",
            "__none__",
            "__shape__",
            "__dtype__",
            "TensorShape",
            "TypeSpec",
            "__enum__",
        ),
    )
)
_LOOKUPS: Final = frozenset(("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"))


def code_in(config: Any) -> Iterator[str]:
    """Yield what in a configuration is called or read when it is loaded and is not Keras's own; completes 'PATH ...'."""
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        if not isinstance(part, dict):
            continue
        pending += part.values()
        name = part.get("class_name")
        if isinstance(name, str) and (why := _why(name, part)):
            yield why
        elif name is not None and not isinstance(name, str):
            yield "has a class_name that is not a name"


@cache
def known_names() -> frozenset[str]:
    """The classes and functions of Keras's public modules that a model may be made of."""
    lines = resources("efsprov.models.formats").joinpath("known_keras.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _why(name: str, part: dict[str, Any]) -> str:
    plain = name.rpartition(">")[2]
    if plain in _RUNNING_CODE:
        return f"has a {plain} layer, which runs what it carries when it is loaded"
    if "lambda" in plain.lower():
        return f"has a {name}, which is Python code"
    if plain in _LOOKUPS and isinstance(vocabulary := _vocabulary(part), str):
        return f"has a {plain} that reads {vocabulary!r} when it is loaded"
    if plain == "function":
        return _why_function(part.get("module"), part)
    foreign = _foreign(name, part)
    return f"has {foreign}, which is none of Keras's own" if foreign else ""


def _foreign(name: str, part: dict[str, Any]) -> str:
    """Return how a class is called that is none of Keras's own, '' for one that is."""
    module, registered = part.get("module"), part.get("registered_name")
    package = registered.partition(">")[0] if isinstance(registered, str) and ">" in registered else ""
    if module is None or module == "":
        if package or (registered and registered != name):
            return str(registered)
        plain = name.removeprefix("Custom>")  # so Keras 2.11 to 2.15 call their own optimizers in a SavedModel
        return "" if name in _VALUES or plain in known_names() else name
    if name in _VALUES and module == "builtins":
        return ""
    if not isinstance(module, str) or not _is_own(module, name):
        return f"{module}.{name}"
    return str(registered) if package and package not in _COMPANIONS else ""


def _why_function(module: Any, part: dict[str, Any]) -> str:
    named = part.get("config")
    named = named if isinstance(named, str) else part.get("registered_name")
    if isinstance(module, str) and isinstance(named, str) and _is_own(module, named) and named in known_names():
        return ""
    return f"names the function {module or '?'}.{named}, which is called and is none of Keras's own"


def _is_own(module: str, name: str) -> bool:
    for root in _COMPANIONS:
        if module == root or module.startswith(f"{root}."):
            rest = [word for word in module[len(root) :].split(".") if word not in {"", "src", "api"}]
            return bool(rest) and rest[0] in _COMPANION_MODULES
    for root in _ROOTS:
        if module == root or module.startswith(f"{root}."):
            rest = [word for word in module[len(root) :].split(".") if word]
            while rest[:1] in (["src"], ["api"], ["_tf_keras"], ["keras"], ["_v2"]):
                rest = rest[1:]
            return rest[0] in _MODULES if rest else name in known_names()
    return False


def _vocabulary(part: dict[str, Any]) -> Any:
    config = part.get("config")
    return config.get("vocabulary") if isinstance(config, dict) else None
