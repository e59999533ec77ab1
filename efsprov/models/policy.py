"""Which models may be published: those that only hold data, and those that somebody trusts."""

from collections.abc import Collection, Iterable
from typing import Final

from efsprov.core.errors import ModelError, UsageError
from efsprov.models.formats.inspection import RISKS, Inspection, RiskKind

_INSTEAD: Final[dict[RiskKind, str]] = {
    "pickle": "save tensors only (safetensors, or torch.save of a state_dict)",
    "torchscript": "save the weights as safetensors, or export to ONNX",
    "h5": "save it as `.keras` without Lambda layers, or export a SavedModel",
    "keras-code": "use layers of Keras alone, or export a SavedModel",
    "savedmodel-ops": "export without these operations",
    "code": "leave it out of the folder that you push, or name Keras's, PyTorch's or ONNX's own parts only",
    "unknown": "save it in a format of docs/reference/model-formats.md, or leave it out of the folder that you push",
}


def read_trust(words: Iterable[str]) -> frozenset[RiskKind]:
    """Return what a policy trusts; 'all' stands for everything. Raises ``UsageError`` for a word that is none."""
    given = {word.strip() for word in words if word.strip()}
    unknown = sorted(given - {*RISKS, "all"})
    if unknown:
        raise UsageError(f"{unknown[0]!r} is nothing that can be trusted.", hint=f"There is: all, {', '.join(RISKS)}.")
    return frozenset(RISKS if "all" in given else (kind for kind in RISKS if kind in given))


def require_trust(name: str, inspection: Inspection, trusted: Collection[RiskKind]) -> tuple[RiskKind, ...]:
    """Return the kinds of risk that model ``name`` has, all of them trusted; raises ``ModelError`` otherwise."""
    refused = [risk for risk in inspection.risks if risk.kind not in trusted]
    if refused:
        first, more = refused[0], len(refused) - 1
        raise ModelError(
            f"Model {name} may run code when it is loaded: {first.path} {first.why}"
            + (f" (and {more} more reasons)." if more else "."),
            hint=f"If you trust where it comes from: --trust, or `[models] trust = [{first.kind!r}]` in efsprov.toml. "
            f"Without code: {_INSTEAD[first.kind]}.",
        )
    return tuple(sorted({risk.kind for risk in inspection.risks}))
