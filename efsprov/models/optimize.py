"""Makes a smaller model out of a release of one, inside releases of dependencies, and measures what that cost."""

import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from efsprov.core.errors import BuildError, ModelError, UsageError
from efsprov.models.formats.detect import inspect_model
from efsprov.models.formats.inspection import Format, Inspection
from efsprov.models.formats.onnx import check_onnx
from efsprov.models.formats.savedmodel import NAMES as SAVEDMODEL_NAMES
from efsprov.models.manifest import Lineage, ModelFacts, ModelManifest, read_model_manifest
from efsprov.models.optimization import Quantize, Step, To, plan_steps
from efsprov.models.policy import require_trust
from efsprov.models.provision import content_digest
from efsprov.models.publish import ModelDraft, Published, publish_model
from efsprov.models.release_tools import ReleaseTools
from efsprov.models.report import Comparison, Measured, Report
from efsprov.pipeline.stage.tree import list_tree
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.pipeline.tools.scratch import scratch_folder
from efsprov.store.fs.errors import translate_os_errors
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel
from efsprov.store.publish import check_usable

_SAVEDMODEL_PARTS: Final = frozenset({*SAVEDMODEL_NAMES, "fingerprint.pb", "keras_metadata.pb"})
_SAVEDMODEL_FOLDERS: Final = ("variables/", "assets/", "assets.extra/")
_SAMPLE_SUFFIXES: Final = (".npy", ".npz")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Optimization:
    """What to do. ``representative`` are typical inputs, ``evaluate`` others to compare on (the same, where not given).

    ``input_shape`` is for TorchScript, which does not say what goes in. ``require_agreement`` is the least share of
    samples whose top-1 answer must stay the same.
    """

    to: To | None = None
    quantize: Quantize | None = None
    prune: float | None = None
    representative: Path | None = None
    evaluate: Path | None = None
    input_shape: tuple[int, ...] = ()
    signature: str = ""
    require_agreement: float | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    activate: bool = False
    wait: bool = True


def plan_optimization(model: Channel, release: str, wanted: Optimization) -> tuple[ModelManifest, tuple[Step, ...]]:
    """Return what ``release`` of ``model`` is and the steps to what ``wanted`` wants of it.

    Raises an ``EfsprovError`` for what cannot be done, whatever the tools.
    """
    _check_samples(wanted)
    manifest = read_model_manifest(model, release)
    calibrated = wanted.representative is not None
    plan = plan_steps(manifest.model.format, wanted.to, wanted.quantize, wanted.prune, calibrated=calibrated)
    check_usable(model, read_state(model), release)
    return manifest, plan


def optimize(
    model: Channel, release: str, wanted: Optimization, tools: ReleaseTools, steps: ProgressReporter, *, into: Channel
) -> Published:
    """Publish in ``into`` what ``wanted`` makes of ``release`` of ``model``; its manifest has the lineage and the report.

    Raises an ``EfsprovError``; then the root is as it was.
    """
    manifest, plan = plan_optimization(model, release, wanted)
    facts = manifest.model
    source = model.release_path(release) / model.payload
    with scratch_folder() as scratch:
        tree = scratch / "tree"
        files = tree / into.payload
        files.mkdir(parents=True)
        begin = _described(facts.format, source / facts.entry if facts.entry else source, facts, wanted)
        with steps.step("convert", ", then ".join(step.text for step in plan)) as step:
            made, versions, sparsity = _convert(begin, source, plan, wanted, tools, scratch)
            for each in Path(made["path"]).parent.iterdir():
                shutil.move(each, files / each.name)
            made = made | {"path": str(files / Path(made["path"]).name)}
            _bring_along(source, files, facts)
            step.outcome = made["format"]
        with steps.step("measure") as step:
            report = _measure(begin, source, made, wanted, tools, scratch, sparsity)
            step.outcome = _words(report)
        _require(report, wanted.require_agreement)
        entries = list_tree(files, {})
        inspection = inspect_model(files, [entry.path for entry in entries])
        trusted = require_trust(into.name, inspection, facts.trusted)
        lineage = Lineage(
            model=model.name,
            release=release,
            steps=tuple(each.text for each in plan),
            channels=dict(tools.channels),
            versions={**versions, "python": tools.interpreter.full},
            report=report,
        )
        draft = ModelDraft(
            ModelFacts(
                format=inspection.format,
                entry=inspection.entry,
                sha256=content_digest(entries),
                origin={"uri": f"{model.name}/{release}"},
                trusted=trusted,
                made_for=_made_for(facts, inspection),
                lineage=lineage,
            ),
            {**manifest.meta, **wanted.meta},
            (f"{model.name}/{release}", *lineage.steps),
        )
        return publish_model(into, tree, entries, draft, steps, activate=wanted.activate, wait=wanted.wait)


def _check_samples(wanted: Optimization) -> None:
    for path in (wanted.representative, wanted.evaluate):
        if path is not None and (path.suffix not in _SAMPLE_SUFFIXES or not path.is_file()):
            why = "is not a file" if path.suffix in _SAMPLE_SUFFIXES else "is neither .npy nor .npz"
            raise UsageError(
                f"{path} {why}.", hint="numpy.save and numpy.savez write samples; one array for each input."
            )


def _described(kind: Format, path: Path, facts: ModelFacts, wanted: Optimization) -> dict[str, Any]:
    """What a script in a release is told of a model."""
    return {
        "format": kind,
        "path": str(path.resolve()),
        "trusted": bool(facts.trusted),
        "signature": wanted.signature,
        "input_shape": list(wanted.input_shape),
    }


def _convert(
    begin: dict[str, Any],
    source: Path,
    plan: tuple[Step, ...],
    wanted: Optimization,
    tools: ReleaseTools,
    scratch: Path,
) -> tuple[dict[str, Any], dict[str, str], float | None]:
    model, sparsity = begin, None
    versions: dict[str, str] = {}
    for number, step in enumerate(plan):
        folder = scratch / f"step{number}"
        out = folder / "out"
        out.mkdir(parents=True)
        request = {
            "do": step.do,
            "model": model,
            "out": str(out),
            "quantize": step.quantize,
            "sparsity": step.sparsity,
            "representative": str(wanted.representative.resolve()) if wanted.representative else None,
        }
        samples = [wanted.representative] if wanted.representative else []
        answer = tools.run(request, folder, [source, *samples])
        source = _made_in(out, answer["path"])
        model = begin | {"format": answer["format"], "path": answer["path"]}
        versions |= answer["versions"]
        sparsity = answer.get("sparsity", sparsity)
    return model, versions, sparsity


def _made_in(out: Path, path: str) -> Path:
    """Return the folder of what a step made; raises ``BuildError`` for one that is elsewhere than in ``out``."""
    made = Path(path)
    if not made.parent.resolve().is_relative_to(out.resolve()) or made.is_symlink():
        raise BuildError("The step put its result elsewhere than it was asked to.", hint="Nothing was published.")
    return made.parent


def _bring_along(source: Path, files: Path, facts: ModelFacts) -> None:
    """Copy what belongs to the model whatever its format is: labels, a tokenizer, a licence."""
    own = {facts.entry}
    if facts.format == "onnx":
        place = (source / facts.entry).parent.relative_to(source)
        own |= {(place / name).as_posix() for name in check_onnx(source / facts.entry)}
    with translate_os_errors("Copying the model's other files", source):
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_file() and name not in own and not _is_savedmodel(name, facts):
                (files / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, files / name)


def _is_savedmodel(name: str, facts: ModelFacts) -> bool:
    inside = name.removeprefix(f"{facts.entry}/") if facts.entry else name
    if facts.format != "savedmodel" or (facts.entry and inside == name):
        return False
    return inside in _SAVEDMODEL_PARTS or inside.startswith(_SAVEDMODEL_FOLDERS)


def _measure(
    begin: dict[str, Any],
    source: Path,
    made: dict[str, Any],
    wanted: Optimization,
    tools: ReleaseTools,
    scratch: Path,
    sparsity: float | None,
) -> Report:
    folder = scratch / "measure"
    folder.mkdir()
    given = wanted.evaluate or wanted.representative
    request = {
        "do": "measure",
        "before": begin,
        "after": made,
        "samples": str(given.resolve()) if given else None,
    }
    samples = [given] if given else []
    result = tools.run(request, folder, [source, Path(made["path"]).parent, *samples])
    before, after = (
        Measured(
            format=model["format"],
            bytes=_bytes(Path(model["path"])),
            gzip_bytes=_compressed(Path(model["path"])) if sparsity is not None else None,
            **result.get(key, {}),
        )
        for key, model in (("before", begin), ("after", made))
    )
    return Report(
        before=before,
        after=after,
        comparison=Comparison(data=_data(wanted), **result["comparison"]) if "comparison" in result else None,
        left_out=result.get("left_out", ""),
        sparsity=sparsity,
    )


def _data(wanted: Optimization) -> Literal["representative", "evaluation", "random"]:
    if wanted.evaluate:
        return "evaluation"
    return "representative" if wanted.representative else "random"


def _require(report: Report, least: float | None) -> None:
    if least is None:
        return
    found = report.comparison.top1_agreement if report.comparison else None
    if found is None:
        why = report.left_out or "the output is not a list of classes"
        raise ModelError(
            f"The agreement of both models cannot be measured: {why}.", hint="Leave --require-agreement out."
        )
    if found < least:
        raise ModelError(
            f"Both models give the same answer for {found:.1%} of the samples, {least:.1%} is required.",
            hint="Nothing was published. Calibrate with more typical data, or quantise less: float16, dynamic.",
        )


def _made_for(facts: ModelFacts, inspection: Inspection) -> str:
    return facts.made_for if inspection.format == facts.format else ""


def _words(report: Report) -> str:
    agreement = report.comparison.top1_agreement if report.comparison else None
    return f"{report.smaller:.1f} times smaller" + (f", top-1 the same for {agreement:.1%}" if agreement else "")


def _files(path: Path) -> Iterator[Path]:
    return iter([path]) if path.is_file() else (each for each in sorted(path.rglob("*")) if each.is_file())


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in _files(path))


def _compressed(path: Path) -> int:
    """Bytes of the files when they are compressed as a layer or an image would: zeros cost nothing there."""
    total = 0
    for each in _files(path):
        packer = zlib.compressobj()
        with each.open("rb") as file:
            while data := file.read(_CHUNK):
                total += len(packer.compress(data))
        total += len(packer.flush())
    return total
